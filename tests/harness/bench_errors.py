"""What can go wrong on the bench."""


class BenchError(Exception):
    """The bench itself failed (QEMU, a namespace, a server); the message says what and where to look."""


class GuestCommandError(BenchError):
    """A command in the guest ended with an exit code other than zero."""


class BenchTimeoutError(BenchError):
    """Something expected did not happen in time."""


class GuestResetError(BenchError):
    """The guest started anew while an answer of it was awaited."""
