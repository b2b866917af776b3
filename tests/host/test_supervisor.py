"""The supervisor as a real process with its real recorder, on a cable in a network namespace of its own."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.paths import Paths
from tests.harness import command_line
from tests.harness.captures import comment_fields, read_capture
from tests.harness.frames import number_of
from tests.harness.namespaces import Namespace
from tests.harness.waiting import PATIENCE

NAME = "api-host"
MIB = 1 << 20

SENDER = """
import socket, sys
from tests.harness.frames import series
cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
cable.bind(("peer1", 0))
for frame in series(int(sys.argv[1]), number=int(sys.argv[2])):
    cable.send(frame)
"""


class Bench:
    """A recorder on `port1`, whose other end `peer1` sends; a supervisor that can be killed."""

    def __init__(self, folder: Path, namespace: Namespace) -> None:
        self.paths = Paths(folder / "data", folder / "run")
        self.namespace = namespace
        self.log = folder / "log"
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.paths.recorder_status.parent.mkdir(parents=True)
        self.paths.data.mkdir()

    def start_recorder(self) -> None:
        config = {
            "ring_directory": str(self.paths.ring),
            "ring_size": 32 * MIB,
            "status_file": str(self.paths.recorder_status),
            "blocks_per_port": 16,
        }
        self.paths.recorder_config.write_text(json.dumps(config))
        command = [sys.executable, "-m", "allegro.capture.recorder", str(self.paths.recorder_config)]
        self.namespace.spawn(command, self.log)

    def start_supervisor(self) -> None:
        command = [sys.executable, "-m", "allegro.supervisor"]
        command += ["--data", str(self.paths.data), "--run", str(self.paths.run)]
        with self.log.open("ab") as log:
            self.supervisor = subprocess.Popen(command, stderr=log)
        self.until(lambda: self.allegro("jobs").returncode == 0)

    def stop_supervisor(self, number: signal.Signals) -> int:
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        code = self.supervisor.wait(20)
        self.supervisor = None
        return code

    def allegro(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command_line.allegro(self.paths.api_socket, *arguments)

    def answer(self, *arguments: str) -> Any:
        done = self.allegro(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def send(self, count: int, series: int) -> None:
        self.namespace.run([sys.executable, "-c", SENDER, str(count), str(series)])

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 40 * PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within 40 s; the log says:\n{self.log.read_text()}")
            time.sleep(0.1)

    def numbers(self, path: Path) -> list[tuple[int, int] | None]:
        return [number_of(packet.data) for packet in read_capture(path).packets]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    if os.geteuid() != 0:
        pytest.fail("the host tests need root: sudo make test")
    namespace = Namespace(NAME)
    namespace.sysctl("net.ipv6.conf.default.disable_ipv6", "1")
    namespace.ip("link", "add", "peer1", "type", "veth", "peer", "name", "port1")
    for end in ("peer1", "port1"):
        namespace.ip("link", "set", end, "up")
    made = Bench(tmp_path, namespace)
    try:
        made.start_recorder()
        made.start_supervisor()
        made.until(lambda: made.answer("ring")["state"] == "recording" and made.answer("ring")["ports"] != [])
        yield made
        if made.supervisor is not None:
            assert made.stop_supervisor(signal.SIGTERM) == 0
    finally:
        if made.supervisor is not None:
            made.supervisor.kill()
            made.supervisor.wait()
        namespace.close()
    assert "Traceback" not in made.log.read_text()


@pytest.mark.spec("T3", "T5", "T6", "T8", "R4")
@pytest.mark.timeout(180)
def test_trigger_from_the_command_line_gives_the_last_packets(bench: Bench) -> None:
    bench.send(500, series=1)
    job = bench.answer("trigger", "--before", "3600", "--wait")
    assert (job["state"], job["packets"], job["drops"]) == ("complete", 500, 0)
    assert job["message"].startswith("The recorder was not running from")  # the bench is younger than 30 s
    path = bench.paths.storage / job["file"]
    assert bench.numbers(path) == [(1, number) for number in range(500)]
    comment = comment_fields(read_capture(path))
    assert (
        comment["system_id"]
        == bench.answer("status")["system_id"]
        == bench.paths.system_id.read_text().strip()
    )
    assert comment["trigger"] == "cli manual"
    assert [file["name"] for file in bench.answer("files")] == [job["file"]]
    assert bench.answer("status")["jobs"][0] == job
    assert bench.answer("ring")["packets"] >= 500


WRONG_COMMANDS = {
    "negative ring": ("settings set recording.ring_size_mib=-5", "recording.ring_size_mib"),
    "negative window": ("settings set trigger.before_s=-1", "trigger.before_s"),
    "text for a number": ("settings set trigger.before_s=soon", "trigger.before_s"),
    "unknown setting": ("settings set trigger.befor_s=5", "trigger.befor_s"),
    "no value": ("settings set trigger.before_s", "PATH=VALUE"),
    "port of a server": ("settings set export.port=70000", "export.port"),
    "export without server": ("settings set export.enabled=true", "host"),
    "time of day": ("settings set export.time=25:00", "export.time"),
    "window in the future": ("trigger --time 2100-01-01T00:00:00Z", "future"),
    "negative time": ("trigger --before -3", "before_s"),
    "window too long": ("trigger --after 999999", "after_s"),
    "not a time": ("trigger --time yesterday", "time"),
    "filter": ("trigger --filter 'ip = 192.0.2.1'", "Column 4"),
    "filter that libpcap judges": ("trigger --filter 'bpf(\"tcp port\")'", "syntax error"),
    "filter of presses": ("settings set 'trigger.filter=prt == 80'", "Do you mean port"),
    "unknown capture": ("jobs 4711", "4711"),
    "unknown file": ("files delete nothing.pcapng", "nothing.pcapng"),
    "file outside": ("files delete ../settings.json", "settings.json"),
}


@pytest.mark.spec("W6")
@pytest.mark.timeout(180)
def test_wrong_commands_are_answered_in_plain_words(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    before = bench.answer("settings", "get")
    for case, (arguments, word) in WRONG_COMMANDS.items():
        done = bench.allegro(*shlex.split(arguments))
        assert (done.returncode, done.stdout) == (1, ""), (case, done)
        assert word.lower() in done.stderr.lower(), (case, done)
        assert 'File "' not in done.stderr, (case, done)
    assert bench.answer("settings", "get") == before
    assert bench.answer("jobs") == []


@pytest.mark.spec("T3", "T5")
@pytest.mark.timeout(180)
def test_a_killed_supervisor_finishes_what_it_has_accepted(bench: Bench) -> None:
    bench.send(300, series=2)
    job = bench.answer("trigger", "--before", "60", "--after", "2")
    bench.stop_supervisor(signal.SIGKILL)
    bench.send(50, series=3)
    assert bench.paths.api_socket.exists(), "a killed process leaves its socket behind"
    bench.start_supervisor()
    bench.until(lambda: bench.answer("jobs", str(job["id"]))["state"] == "complete")
    done = bench.answer("jobs", str(job["id"]))
    assert done["start_time"] == job["start_time"]
    numbers = bench.numbers(bench.paths.storage / done["file"])
    assert numbers[:300] == [(2, number) for number in range(300)]
    assert len(numbers) == done["packets"]
    assert [entry.name for entry in bench.paths.storage.glob("*.pcapng")] == [done["file"]]


@pytest.mark.timeout(180)
def test_a_clean_stop_leaves_no_socket_and_nothing_undone(bench: Bench) -> None:
    job = bench.answer("trigger", "--after", "3600")
    assert bench.stop_supervisor(signal.SIGTERM) == 0
    assert not bench.paths.api_socket.exists()
    gone = bench.allegro("status")
    assert gone.returncode == 1
    assert "The supervisor cannot be reached" in gone.stderr
    assert "Traceback" not in gone.stderr
    bench.start_supervisor()
    assert bench.answer("jobs", str(job["id"]))["state"] == "waiting"
    assert bench.answer("jobs", str(job["id"]), "--cancel")["state"] == "cancelled"


@pytest.mark.timeout(180)
def test_only_one_supervisor_runs_and_only_the_owner_may_connect(bench: Bench) -> None:
    assert bench.paths.api_socket.stat().st_mode & 0o777 == 0o660
    command = [sys.executable, "-m", "allegro.supervisor"]
    command += ["--data", str(bench.paths.data), "--run", str(bench.paths.run)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode == 1
    assert "Another supervisor is running" in second.stderr
    assert "Traceback" not in second.stderr
    assert bench.answer("jobs") == []


@pytest.mark.spec("R5")
@pytest.mark.timeout(180)
def test_a_dead_recorder_is_told(bench: Bench) -> None:
    assert "recorder-silent" not in [problem["id"] for problem in bench.answer("status")["problems"]]
    status = json.loads(bench.paths.recorder_status.read_bytes())
    os.kill(status["pid"], signal.SIGKILL)
    bench.until(lambda: bench.answer("ring")["state"] == "silent")
    assert "recorder-silent" in [problem["id"] for problem in bench.answer("status")["problems"]]


@pytest.mark.spec("R5")
@pytest.mark.timeout(180)
def test_without_a_usable_data_partition_the_device_answers_and_says_so(tmp_path: Path) -> None:
    namespace = Namespace(NAME)
    bench = Bench(tmp_path, namespace)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(bench.paths.data)], check=True)
    try:
        bench.start_supervisor()
        assert bench.answer("status")["problems"][0]["id"] == "data-unusable"
        pressed = bench.allegro("trigger", "--json")
        assert pressed.returncode == 1
        job = json.loads(pressed.stdout)
        assert job["state"] == "refused"
        assert job["message"].startswith("The data partition cannot be used: it is read-only")
        refused = bench.allegro("settings", "set", "trigger.before_s=3")
        assert refused.returncode == 1
        assert "could not be saved: Read-only file system" in refused.stderr
        assert bench.stop_supervisor(signal.SIGTERM) == 0
    finally:
        if bench.supervisor is not None:
            bench.supervisor.kill()
            bench.supervisor.wait()
        subprocess.run(["umount", str(bench.paths.data)], check=True)
        namespace.close()
    assert "Traceback" not in bench.log.read_text()
