"""Supervisor and web page as real programs on this machine, without recorder, on ports of the loopback."""

import base64
import http.client
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from allegro.accounts.roles import Role
from allegro.accounts.users import UserStore
from allegro.paths import Paths
from tests.harness.waiting import PATIENCE

REPOSITORY = Path(__file__).resolve().parents[2]
PASSWORDS: Mapping[Role, str] = {role: f"the {role}'s word" for role in ("admin", "capture", "viewer")}
"""There is one user per role, who is called like it."""

UNCHECKED = ssl._create_unverified_context()


def basic(name: str, password: str) -> dict[str, str]:
    """The header of a program that logs in."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


class Programs:
    """The two programs of a device in `folder`."""

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        self._prefix = prefix
        self.paths = Paths(folder / "data", folder / "run")
        self.log = folder / "log"
        self.https_port = self.http_port = 0
        self.web: subprocess.Popen[bytes] | None = None
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *, used: bool = False) -> None:
        """Starts both, and waits until the page answers. `used`: it has its users already."""
        if not used:
            self._make_users()
        folders = ["--data", str(self.paths.data), "--run", str(self.paths.run)]
        self._run(["allegro.supervisor", *folders])
        self._wait_for("Ready")
        built = ["--built", str(REPOSITORY / "build/web")]
        self.web = self._run(["allegro.web", *folders, *built, "--https-port=0", "--http-port=0"])
        found = self._wait_for(r"HTTPS on port (\d+), HTTP on port (\d+)")
        self.https_port, self.http_port = int(found[1]), int(found[2])

    def _make_users(self) -> None:
        self.paths.web.mkdir(parents=True, mode=0o700, exist_ok=True)
        users = UserStore(self.paths.web / "users.json")
        for role, password in PASSWORDS.items():
            if role != "admin":
                users.add(role, role, "for the first login")
            users.set_password(role, password)

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        *,
        timeout_s: float = 60.0,
        source: str = "127.0.0.1",
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request on a connection of its own, its target as it stands here: nobody puts it in order."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.https_port,
            timeout=timeout_s * PATIENCE,
            context=UNCHECKED,
            source_address=(source, 0),
        )
        try:
            connection.putrequest(method, target)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if content is not None:
                connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content)
            answer = connection.getresponse()
            headers = {name: ", ".join(answer.headers.get_all(name, ())) for name in answer.headers}
            return answer.status, headers, answer.read()
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends both; a program that does not end well, or has failed somewhere, is a failure."""
        for process in reversed(self._running):
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(20 * PATIENCE) for process in self._running]
        assert codes == [0] * len(codes), self.log.read_text()
        assert "Traceback" not in self.log.read_text()

    def kill(self) -> None:
        """Ends what still runs."""
        for process in self._running:
            process.kill()
            process.wait()

    def _run(self, module: Sequence[str]) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", *module],
                stdout=log,
                stderr=log,
                env=os.environ | unit_environment(),
            )
        self._running.append(process)
        return process

    def _wait_for(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + 60 * PATIENCE
        while True:
            if found := re.search(pattern, self.log.read_text() if self.log.exists() else ""):
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"no {pattern!r} within 60 s; the log says:\n{self.log.read_text()}")
            time.sleep(0.1)


@contextmanager
def web_programs(folder: Path, prefix: Sequence[str] = ()) -> Iterator[Programs]:
    """Both programs, as long as this lasts; started by the command `prefix` (`ip netns exec`, say)."""
    made = Programs(folder, prefix)
    try:
        made.start()
        yield made
        made.stop()
    finally:
        made.kill()


def unit_environment() -> dict[str, str]:
    """What the unit of the web page sets for its program."""
    unit = REPOSITORY / "rootfs_overlay/usr/lib/systemd/system/allegro-web.service"
    lines = re.findall(r"^Environment=(.*)$", unit.read_text(), re.MULTILINE)
    return dict(each.split("=", 1) for line in lines for each in line.split())
