"""Connections to servers of others that fail, in plain words."""

import errno
import socket
import ssl


def cause(error: BaseException) -> OSError | None:
    """What the system said, where a library has put it into an error of its own."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, OSError):
        found = found.__cause__ or found.__context__
    return found


def explained(error: BaseException) -> tuple[str, str]:
    """What happened, and what to do about it."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The server's certificate is not trusted: {error.verify_message.rstrip('.')}.",
            "Is this the name in its certificate, and the clock of the device right? For a private server, "
            "set the certificate of its authority.",
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"No encrypted connection comes about ({error.reason or error}).",
            "Check the port, and which encryption the server wants there.",
        )
    if isinstance(error, socket.gaierror):
        return (
            "The server's name could not be resolved to an address.",
            "Check its spelling, and the name servers of the management interface.",
        )
    if isinstance(error, ConnectionRefusedError):
        return "The server refused the connection.", "Check the port, and firewalls in between."
    if isinstance(error, TimeoutError) or number in (errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT):
        return (
            "The server does not answer.",
            "Check that it is switched on and can be reached from the management network.",
        )
    if number == errno.ENETUNREACH:
        return (
            "There is no way into the server's network.",
            "Check cable, address and gateway of the management interface.",
        )
    if isinstance(error, EOFError | ConnectionError):
        return "The connection to the server broke off.", "It is tried again by itself."
    return f"The connection to the server failed: {_text(error)}.", "It is tried again by itself."


def _text(error: BaseException) -> str:
    return (str(error) or type(error).__name__).rstrip(".")
