"""Live captures: real frames, recorder, supervisor and web page, and programs that read the stream."""

import contextlib
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from allegro.accounts.roles import ROLES
from allegro.accounts.tokens import TokenStore
from tests.harness.namespaces import Namespace
from tests.harness.waiting import PATIENCE, wait_for
from tests.harness.web_programs import Programs, web_programs
from tests.host.recording import ETHERTYPE, Recording, add_port, frame, send
from tests.unit.capture import pcapng_reader

OURS = f'bpf("ether proto {ETHERTYPE}")'
SIZE = 64
EXTCAP = Path(__file__).resolve().parents[2] / "scripts/wireshark/allegro-extcap"
IN_STREAM = SIZE + 32
"""Bytes that a frame takes in the stream."""


@dataclass
class Bench:
    """A device whose ports are veth; `tokens` by role."""

    folder: Path
    recording: Recording
    programs: Programs
    tokens: dict[str, str]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.programs.https_port}/api/live"

    def curl(self, file: Path, *options: str, role: str = "capture") -> "subprocess.Popen[bytes]":
        """Streams into a file."""
        command = ["curl", "--silent", "--insecure", "--no-buffer", "--get", "--output", str(file)]
        command += ["--write-out", "%{http_code}", "-H", f"Authorization: Bearer {self.tokens[role]}"]
        for option in options:
            command += ["--data-urlencode", option]
        return subprocess.Popen([*command, self.url], stdout=subprocess.PIPE)

    def send(self, sender: int, numbers: Sequence[int]) -> None:
        frames = (frame(sender, number, SIZE) for number in numbers)
        send(self.recording.namespace, f"gen{sender}", frames)

    def live_processes(self) -> list[str]:
        """The children of the supervisor that stream."""
        supervisor = self.programs._running[0].pid
        found = []
        for task in Path(f"/proc/{supervisor}/task").iterdir():
            with contextlib.suppress(OSError):
                for child in (task / "children").read_text().split():
                    if b"live_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                        found.append(child)
        return found


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """Of this file's own: it takes long enough to be run beside the recorder's tests."""
    made = Namespace(f"live-{os.getpid()}")
    yield made
    made.close()


@pytest.fixture
def bench(recording: Recording, tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "device"
    (folder / "data/web").mkdir(parents=True, mode=0o700)
    (folder / "run/recorder").mkdir(parents=True)
    (folder / "data/ring").symlink_to(recording.ring)
    (folder / "run/recorder/status.json").symlink_to(recording.directory / "status.json")
    for number in (1, 2):
        add_port(recording.namespace, number)
    recording.configure()
    recording.start()
    wait_for(lambda: len(recording.status().ports) == 2, "both ports", 20)
    store = TokenStore(folder / "data/web/tokens.json")
    tokens: dict[str, str] = {role: store.add(role, role, None)[1] for role in ROLES}
    with web_programs(folder) as programs:
        yield Bench(folder, recording, programs, tokens)


def begun(file: Path) -> None:
    wait_for(lambda: file.exists() and file.stat().st_size > 0, "the beginning of the stream", 60)


def numbers(file: pcapng_reader.File, sender: int) -> list[int]:
    tags = [(int.from_bytes(one.data[14:18]), int.from_bytes(one.data[18:26])) for one in file.packets]
    return [number for who, number in tags if who == sender]


@pytest.mark.spec("R8", "S1")
@pytest.mark.timeout(240)
def test_what_comes_in_is_streamed_to_several_readers_until_they_go(bench: Bench, tmp_path: Path) -> None:
    count = 3000
    whole = tmp_path / "whole.pcapng"
    limited = bench.curl(whole, f"filter={OURS}", f"bytes={2 * count * IN_STREAM}")
    endless = [tmp_path / f"{number}.pcapng" for number in range(3)]
    readers = [bench.curl(file, "filter=interface == port2") for file in endless]
    for each in (whole, *endless):
        begun(each)
    assert len(bench.live_processes()) == 4

    refused = bench.curl(tmp_path / "fifth")
    assert (refused.communicate()[0], refused.returncode) == (b"429", 0)
    assert "4 live captures" in json.loads((tmp_path / "fifth").read_text())["error"]["message"]

    for start in range(0, count + 1, 500):
        for sender in (1, 2):
            bench.send(sender, range(start, min(start + 500, count + 1)))
    assert (limited.communicate(timeout=60 * PATIENCE)[0], limited.returncode) == (b"200", 0)
    file = pcapng_reader.read(whole.read_bytes())
    assert len(file.packets) == 2 * count
    for sender in (1, 2):
        found = numbers(file, sender)
        assert found == list(range(len(found)))
    times = [packet.time_ns for packet in file.packets]
    assert times == sorted(times)
    assert file.statistics.keys() == {0, 1}
    assert "note:" not in file.statistics[0][1][0].decode()

    wait_for(lambda: endless[0].stat().st_size > count * IN_STREAM, "the packets of port2", 30)
    for reader in readers:
        reader.terminate()
        reader.communicate()
    wait_for(lambda: not bench.live_processes(), "the end of what nobody reads any more", 10)

    for role, options, code in (
        ("viewer", (), b"403"),
        ("capture", ("filter=ip ==",), b"422"),
        ("capture", ("seconds=-1",), b"422"),
    ):
        answer = bench.curl(tmp_path / "refused", *options, role=role)
        assert answer.communicate()[0] == code, options


@pytest.mark.spec("R8")
@pytest.mark.timeout(240)
def test_the_command_line_streams_also_what_was_a_moment_ago(bench: Bench, tmp_path: Path) -> None:
    bench.send(1, range(10))
    output = tmp_path / "live.pcapng"
    command = [sys.executable, "-m", "allegro.cli", "live", "--filter", OURS, "--past", "60"]
    command += ["--bytes", str(9 * IN_STREAM), "--socket", str(bench.programs.paths.api_socket)]
    done = subprocess.run(command, capture_output=True, timeout=60 * PATIENCE, check=True)
    assert numbers(pcapng_reader.read(done.stdout), 1) == list(range(9))
    subprocess.run([*command, "--output", str(output)], timeout=60 * PATIENCE, check=True)
    assert numbers(pcapng_reader.read(output.read_bytes()), 1) == list(range(9))
    again = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True, check=False)
    assert (again.returncode, "exists already" in again.stderr) == (1, True)


@dataclass
class Wireshark:
    """Its program for terminals, in whose folder of programs ours has been copied."""

    home: Path
    device: str
    token: str
    certificate: str

    def __post_init__(self) -> None:
        for folder in (".config/wireshark/extcap", ".local/lib/wireshark/extcap"):  # up to 4.0, and later
            (self.home / folder).mkdir(parents=True)
            shutil.copy(EXTCAP, self.home / folder)

    def start(self, interface: str, *options: str, **fields: str) -> "subprocess.Popen[str]":
        """Captures with these fields in its dialog."""
        told = {"device": self.device, "certificate": self.certificate, **fields}
        token = told.pop("token", self.token)  # Wireshark keeps no passwords: its dialog asks for it
        name = interface.replace("-", "_")
        command = ["tshark", "-n", "-l", "-i", interface, *options]
        for field, value in told.items():
            command += ["-o", f"extcap.{name}.{field}:{value}"]
        environment = {
            **os.environ,
            "ALLEGRO_TOKEN": token,
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
        }
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.spec("R8")
@pytest.mark.timeout(300)
def test_wireshark_has_the_device_among_its_interfaces(bench: Bench, tmp_path: Path) -> None:
    port = bench.programs.https_port
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    pin = ":".join(digest[at : at + 2] for at in range(0, 64, 2))
    wireshark = Wireshark(tmp_path / "home", f"127.0.0.1:{port}", bench.tokens["capture"], pin)

    bench.send(1, range(10))
    fields = ("-T", "fields", "-e", "frame.len", "-e", "data.data")
    live = wireshark.start("allegro-live", "-c", "20", *fields, filter=OURS, past="60")
    assert live.stdout is not None
    for _ in range(10):  # what was a moment ago comes first
        assert live.stdout.readline().startswith(f"{SIZE}\t")
    bench.send(2, range(10))
    output, errors = live.communicate(timeout=60 * PATIENCE)
    assert (len(output.splitlines()), live.returncode) == (10, 0), errors

    # How presses are set is nothing to Wireshark, which knows the one form, and whole packets.
    odd = {"format": "pcap", "packet_length": 60, "rows": [{"name": "a row", "filter": "vlan == none"}]}
    by_admin = {"Authorization": f"Bearer {bench.tokens['admin']}", "Content-Type": "application/json"}
    answer = bench.programs.request("PATCH", "/api/settings/trigger", by_admin, json.dumps(odd).encode())
    assert answer[0] == 200, answer
    now = time.time()
    moments = {"from": f"{now - 100:.0f}", "to": f"{now - 1:.0f}"}
    wait_for(lambda: time.time() > now + 1, "a second", 10)
    recorded = wireshark.start("allegro-recorded", *fields, filter=OURS, **moments)
    output, errors = recorded.communicate(timeout=120 * PATIENCE)
    assert recorded.returncode == 0, errors
    assert {line.split("\t")[0] for line in output.splitlines()} == {str(SIZE)}

    for wrong, words in (
        ({"certificate": "00" * 32}, "shows another certificate"),
        ({"certificate": ""}, pin),
        ({"token": bench.tokens["viewer"]}, "role capture"),
        ({"filter": "ip =="}, "Column"),
        ({"device": ""}, "Which device?"),
    ):
        told = {"device": wireshark.device, "token": wireshark.token, "certificate": pin, **wrong}
        call = [str(EXTCAP), "--capture", "--extcap-interface", "allegro-live", "--fifo", "/dev/null"]
        call += [f"--{name}={value}" for name, value in told.items()]
        done = subprocess.run(call, capture_output=True, text=True, timeout=60 * PATIENCE, check=False)
        assert (done.returncode, words in done.stderr) == (1, True), (wrong, done.stderr)
