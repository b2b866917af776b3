"""Commands and files in the guest, without a change to its image.

The guest's side (guest_agent.py) reaches the guest as a systemd credential in an SMBIOS string, with a unit
that starts it (systemd.system-credentials(7): `systemd.extra-unit.*`, `systemd.unit-dropin.*`).
"""

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.bench_errors import BenchError, BenchTimeoutError, GuestCommandError, GuestResetError
from tests.harness.waiting import PATIENCE

PORT_NAME = "org.allegro.bench"
_PIECE = 256 * 1024  # bytes of a file per request

_UNIT = """\
[Unit]
Description=Agent of the virtual bench
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/bin/python3 -I /run/credentials/@system/allegro-bench-agent.py
Restart=always
RestartSec=1
OOMScoreAdjust=-900
"""


@dataclass(frozen=True)
class Injection:
    """Units and files laid into the running guest by SMBIOS; the image stays untouched."""

    units: Mapping[str, str]  # unit name -> text; each is wanted by multi-user.target
    early_units: Mapping[str, str]  # the same, wanted by sysinit.target
    files: Mapping[str, str]  # name -> text, found in /run/credentials/@system/
    drop_ins: Mapping[str, str]  # unit name -> text of a drop-in

    def strings(self) -> list[str]:
        """SMBIOS type 11 strings."""
        credentials = dict(self.files)
        drop_ins = dict(self.drop_ins)
        for target, units in (("multi-user.target", self.units), ("sysinit.target", self.early_units)):
            for name, text in units.items():
                credentials[f"systemd.extra-unit.{name}"] = text
                drop_ins[target] = drop_ins.get(target, "") + f"[Unit]\nWants={name}\n"
        for name, text in drop_ins.items():
            credentials[f"systemd.unit-dropin.{name}"] = text
        return [
            f"io.systemd.credential.binary:{name}={base64.b64encode(text.encode()).decode()}"
            for name, text in credentials.items()
        ]


def injection(
    units: Mapping[str, str] | None = None,
    drop_ins: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Injection:
    """Return the agent's own injection plus further units, drop-ins and files."""
    script = (Path(__file__).parent / "guest_agent.py").read_text()
    return Injection(
        units=dict(units or {}),
        early_units={"allegro-bench-agent.service": _UNIT},
        files={"allegro-bench-agent.py": script, **(files or {})},
        drop_ins=dict(drop_ins or {}),
    )


@dataclass(frozen=True)
class Result:
    """What a command in the guest left behind."""

    command: str | list[str]
    returncode: int
    stdout: str
    stderr: str

    def json(self) -> Any:
        """Return the standard output read as JSON."""
        return json.loads(self.stdout)


@dataclass(frozen=True)
class RunningCommand:
    """A command that was started and not yet waited for."""

    number: int
    command: str | list[str]
    timeout: float


class GuestAgent:
    """The host's end of the virtio-serial port. Usable from several threads at once."""

    def __init__(self, path: Path) -> None:
        """Connect to QEMU's socket of the port; raises OSError when QEMU does not listen."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._send_lock = threading.Lock()
        self._changed = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        # Numbers of an earlier connection to the same (saved) guest must not be taken for ours.
        self._next_id = time.time_ns()
        self._last_lost = 0  # number of the last request that a guest took with it
        self._closed = False
        self._thread = threading.Thread(target=self._read, name="guest-agent", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("rb") as file:
            for line in file:
                with contextlib.suppress(ValueError, KeyError):
                    answer = json.loads(line)
                    with self._changed:
                        self._answers[answer["id"]] = answer
                        self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _send(self, operation: str, /, **values: Any) -> int:
        with self._send_lock:
            self._next_id += 1
            number = self._next_id
            line = json.dumps({"id": number, "operation": operation, **values}).encode() + b"\n"
            try:
                self._socket.sendall(line)
            except OSError as error:
                raise BenchError(f"the guest is gone ({error})") from error
        return number

    def _wait(self, number: int, operation: str, timeout: float) -> dict[str, Any]:
        with self._changed:
            ended = self._changed.wait_for(
                lambda: number in self._answers or self._closed or number <= self._last_lost, timeout
            )
            if not ended:
                raise BenchTimeoutError(f"the guest did not answer to {operation} within {timeout:g} s")
            answer = self._answers.pop(number, None)
        if answer is None and not self._closed:
            raise GuestResetError(f"the guest started anew before it answered to {operation}")
        if answer is None:
            raise BenchError("the guest is gone")
        if "error" in answer:
            raise BenchError(f"guest, {operation}: {answer['error']}")
        return answer

    def request(self, operation: str, timeout: float, /, **values: Any) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises BenchTimeoutError after `timeout` seconds, GuestResetError if the guest starts anew meanwhile,
        BenchError if it is gone or reports an error.
        """
        return self._wait(self._send(operation, **values), operation, timeout)

    def start_run(self, command: str | list[str], timeout: float, stdin: bytes = b"") -> "RunningCommand":
        """Start a command (a string goes through the shell) as root in the guest; `finish_run` waits."""
        timeout *= PATIENCE
        number = self._send(
            "execute", command=command, timeout=timeout, input=base64.b64encode(stdin).decode()
        )
        return RunningCommand(number, command, timeout)

    def finish_run(self, running: "RunningCommand", check: bool = True) -> Result:
        """Wait for the end of a command.

        Raises GuestCommandError for an exit code other than zero unless `check` is off, BenchTimeoutError.
        """
        answer = self._wait(running.number, "execute", running.timeout + 30)
        result = Result(
            running.command,
            answer["returncode"],
            base64.b64decode(answer["stdout"]).decode(errors="replace"),
            base64.b64decode(answer["stderr"]).decode(errors="replace"),
        )
        words = f"{result.stdout}{result.stderr}"
        if answer["timed_out"]:
            raise BenchTimeoutError(f"guest: {running.command!r} not done in {running.timeout:g} s\n{words}")
        if check and result.returncode:
            raise GuestCommandError(f"guest: {running.command!r} ended with {result.returncode}\n{words}")
        return result

    def run(self, command: str | list[str], timeout: float, check: bool, stdin: bytes) -> Result:
        """Run a command as root in the guest to its end."""
        return self.finish_run(self.start_run(command, timeout, stdin), check)

    def pull(self, path: str) -> bytes:
        """Return the contents of a file in the guest."""
        data = bytearray()
        while True:
            answer = self.request("read", 60 * PATIENCE, path=path, offset=len(data), length=_PIECE)
            piece = base64.b64decode(answer["data"])
            data += piece
            if len(piece) < _PIECE:
                return bytes(data)

    def push(self, data: bytes, path: str) -> None:
        """Write a file in the guest."""
        for offset in range(0, max(len(data), 1), _PIECE):
            piece = base64.b64encode(data[offset : offset + _PIECE]).decode()
            self.request("write", 60 * PATIENCE, path=path, offset=offset, data=piece)

    def http(
        self, unix_socket: str, method: str, path: str, body: str | None = None, timeout: float = 60.0
    ) -> tuple[int, str]:
        """Do one HTTP request over a unix socket in the guest; returns status and body."""
        timeout *= PATIENCE
        answer = self.request(
            "http", timeout + 10, socket=unix_socket, method=method, path=path, body=body, timeout=timeout
        )
        return answer["status"], answer["body"]

    def clock_offset_ns(self) -> int:
        """Return guest clock minus host clock in nanoseconds; good to half a round trip (about 1 ms)."""
        best: tuple[int, int] | None = None
        for _ in range(5):
            before = time.time_ns()
            guest = int(self.request("clock", 30 * PATIENCE)["time_ns"])
            after = time.time_ns()
            sample = (after - before, guest - (before + after) // 2)
            best = min(best, sample) if best else sample
        assert best is not None
        return best[1]

    def set_clock(self) -> None:
        """Set the guest's clock to the host's, to about a millisecond on a quiet machine."""
        for _ in range(2):  # the first time is far off, the second corrects what the first took
            self.request("clock", 30 * PATIENCE, add_ns=-self.clock_offset_ns())

    def guest_reset(self) -> None:
        """The guest starts anew: what it was asked before is not waited for any longer."""
        with self._send_lock, self._changed:
            self._last_lost = self._next_id
            self._changed.notify_all()

    def close(self) -> None:
        """Close the connection; the guest goes on."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._socket.close()
