"""A dissector as the supervisor sees it: a sandbox behind a socket, which may say anything."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from allegro.errors import AllegroError, Unavailable
from allegro.packets import sharkd_answers
from allegro.packets.sandbox_contract import (
    LONGEST,
    PACKETS_FD,
    Refusal,
    Taken,
    Task,
    parse_answer,
    task_line,
)

MOST_ANSWER: Final = 4 << 20
"""Bytes of an answer: a thousand rows have a quarter of a MiB. Parsed, the worst takes some 90 MB."""

ANSWERS_WITHIN_S: Final = 30.0

_PART: Final = 1 << 18

# Addresses and ports stay numbers: names would be asked of a server, or stand in files of the device.
_NO_NAMES: Final = tuple(
    f"nameres.{kind}" for kind in ("network_name", "mac_name", "transport_name", "dns_pkt_addr_resolution")
)

log = logging.getLogger(__name__)


class DissectorGone(AllegroError):
    """It ended, hung, or said what cannot be; it is not to be asked any more."""

    status = 503


class NotPackets(AllegroError):
    """There is nothing in the file that could be shown."""

    status = 422


class Dissector:
    """One dissector, for the packets that it takes of one capture. Not for several threads at once.

    `path` is the socket behind which systemd starts it. Raises Unavailable if there is none.
    """

    def __init__(self, path: Path, patience: float = 1.0) -> None:
        self._patience = patience
        self._asked = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(ANSWERS_WITHIN_S * patience)
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise Unavailable(
                f"Packets cannot be looked at: their dissector does not start ({error.strerror or error}).",
                remedy="Download the file and look at it with Wireshark.",
            ) from error

    def close(self) -> None:
        """Lets it go: without its socket it ends."""
        self._socket.close()

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, or says something unasked."""
        try:
            self._socket.setblocking(False)
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def take(self, task: Task, capture: int) -> Taken:
        """Hands over the descriptor of a capture; says what it took. Raises NotPackets, DissectorGone."""
        line = task_line(task)
        try:
            sent = socket.send_fds(self._socket, [line], [capture])
        except OSError as error:
            raise _gone("ended") from error
        self._send(line[sent:])
        answer = parse_answer(self._line(LONGEST, task.seconds + ANSWERS_WITHIN_S))
        if isinstance(answer, Refusal):
            raise NotPackets(answer.reason, remedy="Download it, and look at it with another program.")
        if answer is None:
            raise _gone("said what cannot be understood")
        return answer

    def rows(self) -> list[sharkd_answers.Row]:
        """All packets that it took. Raises DissectorGone, as all that follow."""
        for name in _NO_NAMES:
            with contextlib.suppress(_Refused):  # of another release
                self._ask("setconf", {"name": name, "value": "FALSE"})
        with _understood():
            columns = sharkd_answers.column_numbers(self._ask("info"))
            self._ask("load", {"file": f"/proc/self/fd/{PACKETS_FD}"})
            return sharkd_answers.rows(self._ask("frames", columns))

    def details(self, number: int) -> sharkd_answers.Details:
        """A packet, from 1 on."""
        with _understood():
            return sharkd_answers.details(self._ask("frame", {"frame": number, "proto": True, "bytes": True}))

    def stream(self, transport: sharkd_answers.Transport, name: str) -> sharkd_answers.Stream:
        """A stream, by what `details` calls it."""
        with _understood():
            return sharkd_answers.stream(self._ask("follow", {"follow": transport, "filter": name}))

    def _ask(self, method: str, parameters: Mapping[str, Any] | None = None) -> object:
        self._asked += 1
        asked = {"jsonrpc": "2.0", "id": self._asked, "method": method, "params": dict(parameters or {})}
        self._send(json.dumps(asked).encode() + b"\n")
        try:
            answer = json.loads(self._line(MOST_ANSWER, ANSWERS_WITHIN_S).decode(errors="replace"))
        except (ValueError, RecursionError):
            raise _gone("said what cannot be understood") from None
        if not isinstance(answer, dict) or answer.get("id") != self._asked:
            raise _gone("answered something else")
        if "result" not in answer:
            error = answer.get("error")
            message = error.get("message") if isinstance(error, dict) else None
            raise _Refused(repr(message)[:200] if isinstance(message, str) else "no reason")
        return answer["result"]

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(ANSWERS_WITHIN_S * self._patience)
            self._socket.sendall(data)
        except OSError as error:
            raise _gone("ended") from error

    def _line(self, most: int, seconds: float) -> bytes:
        """The next line, which has to come within so many seconds, however slowly it trickles."""
        until = time.monotonic() + seconds * self._patience
        parts = bytearray()
        try:
            while b"\n" not in (part := self._socket_part(until)):
                parts += part
                if len(parts) > most:
                    raise _gone("has more to say of this than can be shown")
        except TimeoutError:
            raise _gone(f"did not answer within {seconds:.0f} s") from None
        except OSError:
            raise _gone("ended") from None
        parts += part
        return bytes(parts)

    def _socket_part(self, until: float) -> bytes:
        if (left := until - time.monotonic()) <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        if not (part := self._socket.recv(_PART)):
            raise _gone("ended")
        return part


class _Refused(Exception):
    """It answered that it cannot do this."""


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except (_Refused, sharkd_answers.Nonsense) as error:
        log.warning("The dissector said what cannot be shown: %s", error)
        raise _gone("said what cannot be shown") from None


def _gone(what: str) -> DissectorGone:
    return DissectorGone(f"The dissector {what}.", remedy="Download the file and look at it with Wireshark.")
