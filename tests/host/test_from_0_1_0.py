"""From 0.1.0 to this version, back, and here again, by the programs of both on this machine.

All programs of a version work on the data of the other one: recorder, supervisor with its captures, web page.
"""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.paths import Paths
from allegro.settings.patches import merged
from tests.harness import first_release
from tests.harness.captures import Packet, read_capture
from tests.harness.in_use import (
    RING_MIB,
    SET_BY_NEW,
    SET_BY_OLD,
    WORDS,
    Answer,
    Page,
    by_series,
    check_users,
    ended,
    has,
)
from tests.harness.namespaces import Namespace
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import PATIENCE, wait_for
from tests.harness.web_programs import REPOSITORY, basic

OLD, NEW = first_release.VERSION, "this version"
MIB = 1 << 20
SENDER = """
import socket, sys, time
from tests.harness.frames import series
cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
cable.bind(("peer1", 0))
for number, frame in enumerate(series(int(sys.argv[1]), number=int(sys.argv[2]), size=1000)):
    cable.send(frame)
    if number % 100 == 99:
        time.sleep(0.005)
"""


class Device:
    """The programs of one version at a time, on a data partition that stays."""

    def __init__(self, folder: Path, namespace: Namespace) -> None:
        self.paths = Paths(folder / "data", folder / "run")
        self.log = folder / "log"
        self.page = Page(0)
        self._pythons = {OLD: str(first_release.python()), NEW: sys.executable}
        self._namespace = namespace
        self._running: list[subprocess.Popen[bytes]] = []
        for made in (self.paths.web, self.paths.recorder_status.parent):
            made.mkdir(parents=True)

    def start(self, version: str) -> None:
        python = self._pythons[version]
        self.log.write_text("")
        size = RING_MIB if self.paths.settings.exists() else 64
        about = {"ring_directory": str(self.paths.ring), "ring_size": size * MIB, "blocks_per_port": 16}
        status = {"status_file": str(self.paths.recorder_status)}
        self.paths.recorder_config.write_text(json.dumps(about | status))
        recorder = [python, "-m", "allegro.capture.recorder", str(self.paths.recorder_config)]
        self._running.append(self._namespace.spawn(recorder, self.log))
        folders = ["--data", str(self.paths.data), "--run", str(self.paths.run)]
        built = ["--built", str(REPOSITORY / "build/web"), "--https-port=0", "--http-port=0"]
        for program in (["allegro.supervisor", *folders], ["allegro.web", *folders, *built]):
            with self.log.open("ab") as log:
                self._running.append(subprocess.Popen([python, "-m", *program], stdout=log, stderr=log))
            if program[0] == "allegro.supervisor":
                wait_for(self._answers, "the API", 60)
        found = wait_for(lambda: re.search(r"HTTPS on port (\d+)", self.log.read_text()), "the page", 60)
        self.page = Page(int(found[1]))
        wait_for(lambda: self.get("/ring")["ports"], "the port", 60)

    def _answers(self) -> bool:
        try:
            return bool(self.get("/ring")["state"] == "recording")
        except OSError:
            return False

    def stop(self) -> None:
        for process in reversed(self._running):
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(30 * PATIENCE) for process in self._running]
        self._running = []
        assert codes == [0] * len(codes), self.log.read_text()
        assert "Traceback" not in self.log.read_text()

    def kill(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def api(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(60 * PATIENCE)
        try:
            connection.sock.connect(str(self.paths.api_socket))
            headers = {"Content-Type": "application/json"}
            connection.request(method, f"/api{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        assert answer.status < 400, (path, text)
        return json.loads(text) if text else None

    def get(self, path: str) -> Any:
        return self.api("GET", path)

    def set(self, settings: Answer) -> None:
        self.api("PATCH", "/settings", settings)

    def jobs(self) -> list[Answer]:
        found: list[Answer] = self.get("/jobs?limit=100")
        return found

    def ended(self, job: Answer) -> Answer:
        def done() -> Answer | None:
            now: Answer = self.get(f"/jobs/{job['id']}")
            return now if now["state"] in ("complete", "failed", "cancelled", "refused") else None

        return wait_for(done, "the end of the capture", 120)

    def captured(self, **request: object) -> Answer:
        return self.ended(self.api("POST", "/trigger", request))

    def send(self, count: int, number: int) -> None:
        recorded = self.get("/ring")["packets"]
        self._namespace.run([sys.executable, "-c", SENDER, str(count), str(number)], 120)
        wait_for(lambda: self.get("/ring")["packets"] >= recorded + count, "all frames", 60)

    def content(self, job: Answer) -> dict[int, list[Packet]]:
        """Packets of a capture by series."""
        folder = self.paths.upload if job["directory"] == "upload" else self.paths.storage
        return by_series(read_capture(folder / job["file"]))

    def in_file(self) -> Answer:
        found: Answer = json.loads(self.paths.settings.read_bytes())
        return found


@pytest.fixture
def device(tmp_path: Path, worker_id: str) -> Iterator[Device]:
    if os.geteuid() != 0:
        pytest.fail("the host tests need root: sudo make test")
    namespace = Namespace(f"from-0-1-0-{worker_id}")
    namespace.sysctl("net.ipv6.conf.default.disable_ipv6", "1")
    namespace.ip("link", "add", "peer1", "type", "veth", "peer", "name", "port1")
    for end in ("peer1", "port1"):
        namespace.ip("link", "set", end, "up")
    made = Device(tmp_path, namespace)
    try:
        yield made
    finally:
        made.kill()
        namespace.close()


@pytest.mark.long
@pytest.mark.spec("U7", "R1", "X3", "T7")
@pytest.mark.timeout(3600)
def test_each_version_goes_on_with_what_the_other_left(device: Device, tmp_path: Path) -> None:
    sftp = SftpServer(tmp_path / "sftp")
    device.start(OLD)
    words = dict(WORDS)
    device.page.make_users()
    device.set(SET_BY_OLD)
    sftp.authorize(device.get("/export")["public_key"])
    where = {"host": sftp.address, "port": sftp.port, "username": sftp.user, "authentication": "key"}
    pinned = {"host_key": sftp.fingerprint, "directory": sftp.start_directory}
    device.send(60_000, 1)  # over the end of the ring
    device.send(2_000, 2)
    kept = device.captured(before_s=600)
    recorded = device.content(kept)
    assert len(recorded[1]) < 60_000
    assert len(recorded[2]) == 2_000
    device.set({"export": {"enabled": True, **where, **pinned}})
    queued = [device.captured(before_s=before) for before in (1, 600)]
    contents = {job["file"]: (device.paths.upload / job["file"]).read_bytes() for job in queued}
    waits = device.api("POST", "/trigger", {"before_s": 600, "after_s": 40})
    jobs, users = ended(device.jobs()), (device.paths.web / "users.json").read_bytes()
    device.stop()

    device.start(NEW)
    assert has(device.get("/settings"), SET_BY_OLD)
    assert (device.paths.web / "users.json").read_bytes() == users
    check_users(device.page, words)
    assert jobs.items() <= ended(device.jobs()).items()
    device.send(300, 3)
    spans = device.ended(waits)
    assert {2, 3} <= device.content(spans).keys()
    with sftp:
        device.api("POST", "/export/now")
        wait_for(lambda: not device.get("/export")["queue"], "an empty queue", 120)
    assert {name: (sftp.root / name).read_bytes() for name in contents} == contents
    device.set({"export": {"enabled": False}})
    again = {"time": kept["press_time"], "before_s": 600, "after_s": 0, "filter": ""}
    assert device.content(device.captured(**again))[2] == recorded[2]
    device.set(SET_BY_NEW)
    collector = {"name": "collector", "role": "viewer"}
    status, token = device.page.ask("/tokens", basic("admin", words["admin"]), collector)
    assert status == 201
    by_rows = device.captured(before_s=600)
    assert [row["name"] for row in by_rows["rows"]] == ["All"]
    written, jobs = device.in_file(), ended(device.jobs())
    device.stop()

    device.start(OLD)
    assert has(device.get("/settings"), SET_BY_OLD)
    assert jobs.items() <= ended(device.jobs()).items()
    check_users(device.page, words)
    device.send(300, 4)
    whole = device.content(device.captured(before_s=900))
    assert whole[2] == recorded[2]
    assert {3, 4} <= whole.keys()
    device.set({"trigger": {"before_s": 44}})
    words["carl"] = "the latecomer's word"
    device.page.log_in("admin", words["admin"])
    device.page.add_user("carl", "viewer", words["carl"])
    jobs = ended(device.jobs())
    device.stop()

    device.start(NEW)
    assert device.in_file() == merged(written, {"trigger": {"before_s": 44}})
    assert has(device.get("/settings"), merged(SET_BY_NEW, {"trigger": {"before_s": 44}}))
    assert device.page.ask("/status", {"Authorization": f"Bearer {token['token']}"})[0] == 200
    check_users(device.page, words)
    assert jobs.items() <= ended(device.jobs()).items()
    assert device.get(f"/jobs/{by_rows['id']}") == by_rows
    assert device.content(device.captured(**again))[2] == recorded[2]
    device.stop()
