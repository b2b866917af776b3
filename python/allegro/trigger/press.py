"""A press: somebody wants the last minute."""

from dataclasses import dataclass

SOURCE_PRESENTER = "presenter"


@dataclass(frozen=True)
class Press:
    """`time_ns` is UTC in nanoseconds since 1970; for a presenter it is the kernel's time of the key event.

    `source` is one of presenter, api, page, cli; `key` one of next, prev, play, black, other (presenter) or
    manual; `device` names the presenter and is empty for the others. `boot_ns` is the same moment by the
    clock that nobody sets (`allegro.system.boottime`, this start of the kernel); None if asked for by date.
    """

    time_ns: int
    source: str
    key: str
    device: str = ""
    boot_ns: int | None = None
