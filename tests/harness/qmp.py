"""A QMP client (QEMU Monitor Protocol: docs/interop/qmp-spec in QEMU's sources).

Own, because the protocol is one JSON object per line and the bench is synchronous: the package `qemu.qmp`
is asyncio throughout, and with it `make demo` would need packages from an index before anything can start.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness.bench_errors import BenchError, BenchTimeoutError
from tests.harness.waiting import PATIENCE


class QmpError(BenchError):
    """QEMU refused a command."""


class QmpClient:
    """One connection to a QMP unix socket. Commands from several threads are answered one after the other."""

    def __init__(
        self, path: Path, timeout: float = 10.0, on_event: Callable[[str], None] = lambda _name: None
    ) -> None:
        """Connect and negotiate; raises OSError when nobody listens, QmpError when it is not QMP.

        `on_event` is called with the name of each event as it comes; it must not wait for an answer of QEMU.
        """
        self._on_event = on_event
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(str(path))
            self._socket.settimeout(None)
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rwb")
        self._command_lock = threading.Lock()
        self._changed = threading.Condition()
        self._events: list[dict[str, Any]] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._next_id = 0
        self._closed = False
        greeting = json.loads(self._file.readline() or b"{}")
        if "QMP" not in greeting:
            raise QmpError(f"no QMP greeting on {path}: {greeting!r}")
        self._thread = threading.Thread(target=self._read, name="qmp", daemon=True)
        self._thread.start()
        self.execute("qmp_capabilities")

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._file:
                message = json.loads(line)
                with self._changed:
                    if "event" in message:
                        self._events.append(message)
                    elif "id" in message:
                        self._answers[message["id"]] = message
                    self._changed.notify_all()
                if "event" in message:
                    self._on_event(message["event"])
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def execute(self, command: str, /, timeout: float = 60.0, **arguments: Any) -> Any:
        """Run a QMP command and return its result; underscores in argument names become hyphens.

        Raises QmpError when QEMU refuses it or has gone, BenchTimeoutError after `timeout` seconds.
        """
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        with self._command_lock:
            self._next_id += 1
            number = message["id"] = self._next_id
            try:
                self._file.write(json.dumps(message).encode() + b"\n")
                self._file.flush()
            except (OSError, ValueError) as error:
                raise QmpError(f"QEMU is gone ({error}), command {command}") from error
            with self._changed:
                answered = self._changed.wait_for(
                    lambda: number in self._answers or self._closed, timeout * PATIENCE
                )
                if not answered:
                    raise BenchTimeoutError(f"QMP {command}: no answer within {timeout:g} s")
                answer = self._answers.pop(number, None)
        if answer is None:
            raise QmpError(f"QEMU is gone, command {command}")
        if "error" in answer:
            raise QmpError(f"QMP {command}: {answer['error'].get('desc', answer['error'])}")
        return answer["return"]

    def wait_event(self, name: str, timeout: float = 30.0) -> dict[str, Any]:
        """Wait for the next event of that name that nobody has taken yet, and take it."""

        def find() -> dict[str, Any] | None:
            return next((event for event in self._events if event["event"] == name), None)

        with self._changed:
            if not self._changed.wait_for(lambda: find() or self._closed, timeout * PATIENCE):
                raise BenchTimeoutError(f"QMP event {name}: not within {timeout:g} s")
            event = find()
            if event is None:
                raise QmpError(f"QEMU is gone while waiting for event {name}")
            self._events.remove(event)
            return event

    def close(self) -> None:
        """Close the connection; QEMU goes on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        with contextlib.suppress(OSError):
            self._file.close()
        self._socket.close()
