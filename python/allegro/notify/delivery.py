"""What a way out has to do, and what may go wrong on it, in plain words."""

import errno
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from allegro.errors import Unavailable
from allegro.events.event import visible
from allegro.notify.notice import Notice

STEP_TIMEOUT_S = 20.0
"""For the connection, and for each answer."""

_ANSWER = 200
"""Characters of an answer that are shown."""


class Undelivered(Unavailable):
    """A message did not get through. `of_message`: others may; else all have to wait.

    `pause_s`: how long the server asks to be left alone; None: it says nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        place: str = "",
        remedy: str = "",
        of_message: bool = False,
        pause_s: float | None = None,
    ) -> None:
        super().__init__(message, place=place, remedy=remedy)
        self.of_message = of_message
        self.pause_s = pause_s


@dataclass(frozen=True)
class Taken:
    """The server has it. `words`: what it said; `complaint`: what it refused of it, may be empty."""

    words: str
    complaint: str = ""


Send = Callable[[Notice], Taken]
"""Hands one message over. Raises Undelivered."""


class Way(Protocol):
    """One way out, as the settings have it."""

    @property
    def target(self) -> str:
        """Where it leads, without secrets."""

    def connection(self) -> AbstractContextManager[Send]:
        """Connects, and logs in. Raises Undelivered, also for what breaks in the block."""


def said(answer: str) -> str:
    """What a server said, on one line."""
    return visible(" ".join(answer.split()), _ANSWER).rstrip(".") or "nothing"


def explain(error: BaseException, place: str) -> Undelivered:
    """Plain words for a connection that fails or breaks off."""
    message, remedy = _words(error)
    return Undelivered(message, place=place, remedy=remedy)


def _words(error: BaseException) -> tuple[str, str]:
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The server's certificate is not trusted: {said(error.verify_message)}.",
            "Is this the name in its certificate, and the clock of the device right? For a private server, "
            "set the certificate of its authority.",
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"No encrypted connection comes about ({said(error.reason or str(error))}).",
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
    return f"The connection to the server failed: {said(str(error))}.", "It is tried again by itself."
