"""Dissectors behind their socket, each started for a connection, as allegro-packets.socket does."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.harness.waiting import wait_for

WORDS = "allegro.packets.sandbox"


class Dissectors:
    """systemd-socket-activate(1), which is systemd's own tool for this."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def running(self) -> list[int]:
        """Process ids of those that run."""
        found = []
        for child in Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split():
            with suppress(OSError):  # gone meanwhile
                if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found.append(int(child))
        return found

    def kill(self) -> None:
        """Ends them all as a crash does."""
        ended = set(self.running())
        for child in ended:
            subprocess.run(["kill", f"-{signal.SIGSEGV}", str(child)], check=True)
        wait_for(lambda: ended.isdisjoint(self.running()), "the end of these dissectors", 20)


@contextmanager
def dissectors(socket: Path, sharkd: Path | None = None) -> Iterator[Dissectors]:
    """They listen on `socket`; `sharkd` is another program in its place."""
    command = ["systemd-socket-activate", "--accept", "--inetd", f"--listen={socket.absolute()}"]
    command += [sys.executable, "-I", "-B", "-m", WORDS, *([str(sharkd)] if sharkd else [])]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    made = Dissectors(process)
    try:
        wait_for(socket.exists, "the socket of the dissectors", 20)
        yield made
        wait_for(lambda: not made.running(), "the end of all dissectors", 20)
    finally:
        for child in made.running():
            subprocess.run(["kill", "-9", str(child)], check=False)
        process.terminate()
        process.wait()
        socket.unlink(missing_ok=True)
