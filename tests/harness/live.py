"""Somebody who captures live: the stream of `GET /api/live`, through the web page's door, into a file."""

import json
import subprocess
from pathlib import Path

from tests.harness.captures import Packet, read_capture
from tests.harness.qemu import VirtualMachine
from tests.harness.waiting import PATIENCE, wait_for


class LiveCapture:
    """Streams into `file` from the beginning of a `with` block to its end, or for `seconds` of the device."""

    def __init__(self, machine: VirtualMachine, file: Path, seconds: int = 600) -> None:
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None
        site = f"https://127.0.0.1:{machine.forward(443)}"
        curl = ["curl", "--silent", "--insecure"]
        look = [*curl, "--max-time", "20", "--output", "/dev/null", f"{site}/login"]
        wait_for(lambda: subprocess.run(look).returncode == 0, "the web page", 120, 1)
        added = machine.run("allegro tokens add live --role capture --json").stdout
        token = f"Authorization: Bearer {json.loads(added)['token']}"
        stream = ["--no-buffer", "--output", str(file), "--header", token]
        self._command = [*curl, *stream, f"{site}/api/live?seconds={seconds}"]

    def __enter__(self) -> "LiveCapture":
        """Returns when the stream has begun."""
        self._process, file = subprocess.Popen(self._command), self._file
        begun = "the beginning of the live capture"
        try:
            wait_for(lambda: file.exists() and file.stat().st_size > 0, begun, 60, 0.2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30 * PATIENCE)

    def packets(self) -> list[Packet]:
        """What has come so far; what is only half there does not count."""
        content = self._file.read_bytes()
        end = 0
        while end + 8 <= len(content):
            length = int.from_bytes(content[end + 4 : end + 8], "little")
            if end + length > len(content):
                break
            end += length
        whole = self._file.with_suffix(".so-far")
        whole.write_bytes(content[:end])
        return read_capture(whole).packets
