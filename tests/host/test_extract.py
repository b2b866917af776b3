"""Real frames over veth, the real recorder, the extraction process; judged by Wireshark's own tools.

Both ends of the cables lie in one network namespace without IPv6, in which nobody else sends anything.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from allegro.capture import status
from allegro.capture.extraction.contract import Request, requests_json
from allegro.capture.ring import record as blocks
from allegro.capture.ring import segments
from allegro.capture.ring.reader import RingReader
from allegro.filters.parse import parse
from allegro.filters.reference import matches
from allegro.filters.translate import translated
from tests.harness import random_packets
from tests.harness.frame_key import key_of
from tests.harness.judge import Judge
from tests.harness.layers import ethernet, ipv4, tcp
from tests.harness.waiting import PATIENCE
from tests.unit.capture import pcapng_reader

NS = 1_000_000_000
MIB = 1 << 20

# Runs a command, and tells its most memory (KiB). What a process had before exec(2) counts, too, and that of
# pytest is not to be in it.
_MOST_MEMORY = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""

# Sends what it reads: lines "interface frame-in-hex count pause-in-seconds"; several are numbered at byte 14.
SENDER = """
import socket, sys, time
sockets = {}
for line in sys.stdin:
    name, frame, count, pause = line.split()
    if name not in sockets:
        sockets[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        sockets[name].bind((name, 0))
    frame = bytes.fromhex(frame)
    for number in range(int(count)):
        if int(count) > 1:
            frame = frame[:14] + number.to_bytes(4, "big") + frame[18:]
        sockets[name].send(frame)
        if float(pause):
            time.sleep(float(pause))
"""


@dataclass
class Bench:
    """A namespace with cables peer1 - port1 and peer2 - port2, and a recorder in it."""

    namespace: str
    directory: Path
    recorder: subprocess.Popen[bytes] | None = None

    @property
    def ring(self) -> Path:
        return self.directory / "ring"

    def inside(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, *command]

    def record(self, ring_size: int) -> None:
        config = {
            "ring_directory": str(self.ring),
            "ring_size": ring_size,
            "status_file": str(self.directory / "status.json"),
            "blocks_per_port": 16,
        }
        path = self.directory / "recorder.json"
        path.write_text(json.dumps(config))
        self.recorder = subprocess.Popen(
            self.inside(sys.executable, "-m", "allegro.capture.recorder", str(path))
        )
        self.wait(lambda now: now.state == status.RECORDING and len(now.ports) == 2)

    def wait(self, ready: Any) -> status.RecorderStatus:
        deadline = time.monotonic() + 20 * PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                now = status.from_json((self.directory / "status.json").read_bytes())
                if ready(now):
                    return now
            time.sleep(0.05)
        pytest.fail("the recorder did not get ready")

    def send(self, frames: Sequence[tuple[str, bytes, int, float]]) -> None:
        text = "".join(f"{name} {frame.hex()} {count} {pause}\n" for name, frame, count, pause in frames)
        subprocess.run(self.inside(sys.executable, "-c", SENDER), input=text, text=True, check=True)

    def complete(self) -> None:
        """Waits until all that was sent before is in the ring."""
        sent = time.time_ns()
        self.wait(lambda now: now.complete_through_ns >= sent)

    def extract(self, start_ns: int, end_ns: int, filter_text: str = "") -> tuple[dict[str, Any], Path]:
        output = self.directory / f"{start_ns}-{end_ns}-{time.monotonic_ns()}.pcapng"
        request = {
            "ring_directory": str(self.ring),
            "start_ns": start_ns,
            "end_ns": end_ns,
            "output": str(output),
            "comment": {"device": "test bench"},
            "status_file": str(self.directory / "status.json"),
        }
        if filter_text:
            text, program = translated(filter_text)
            request |= {"filter": text, "program": program.hex()}
        done = subprocess.run(
            [sys.executable, "-m", "allegro.capture.extraction"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])["result"], output

    def extract_rows(
        self, start_ns: int, end_ns: int, texts: Sequence[str], outputs: Sequence[Path]
    ) -> tuple[dict[int, dict[str, Any]], int]:
        """What is said of each row, and the most memory that the process had (bytes)."""
        requests = [
            Request(
                self.ring,
                start_ns,
                end_ns,
                output,
                filter=text,
                program=translated(text, None, GROUPS)[1] if text else b"",
            )
            for text, output in zip(texts, outputs, strict=True)
        ]
        done = subprocess.run(
            [sys.executable, "-c", _MOST_MEMORY, sys.executable, "-m", "allegro.capture.extraction"],
            input=requests_json(requests),
            capture_output=True,
            check=True,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        most = int(done.stderr.splitlines()[-1])
        return {line["row"]: line for line in lines if "row" in line}, most * 1024


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    namespace = f"alx-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", namespace], check=True)
    bench = Bench(namespace, tmp_path)
    try:
        quiet = "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"
        subprocess.run(bench.inside("sysctl", "-q", "-w", *quiet), check=True)
        for number in ("1", "2"):
            cable = ["ip", "link", "add", f"port{number}", "type", "veth", "peer", "name", f"peer{number}"]
            subprocess.run(bench.inside(*cable), check=True)
            for end in ("port", "peer"):
                subprocess.run(bench.inside("ip", "link", "set", end + number, "up"), check=True)
        yield bench
    finally:
        if bench.recorder is not None:
            bench.recorder.terminate()
            bench.recorder.wait(20)
        subprocess.run(["ip", "netns", "del", namespace], check=True)


def tshark(path: Path, *fields: str) -> list[list[str]]:
    """The fields of every packet, as Wireshark sees them."""
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a"]
    command += [word for name in fields for word in ("-e", name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def capinfos(path: Path) -> dict[str, str]:
    """Names and values of `capinfos -TMm` (one line of names, one of values)."""
    command = ["capinfos", "-T", "-M", "-m", "-Q", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (facts,) = csv.DictReader(io.StringIO(done.stdout))
    return facts


def epoch(text: str) -> int:
    seconds, _, rest = text.partition(".")
    return int(seconds) * NS + int(rest.ljust(9, "0"))


def frame(number: int, *tags: tuple[int, int], size: int = 60) -> bytes:
    """A frame with VLAN tags (type, tag control information), outermost first, and a number behind them."""
    head = b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + b"".join(struct.pack(">HH", *tag) for tag in tags)
    return (head + b"\x88\xb5" + number.to_bytes(4, "big")).ljust(size, b"\xa5")


TAGGINGS: list[tuple[tuple[int, int], ...]] = [
    (),
    ((0x8100, 5),),
    ((0x8100, 0xEFFF),),
    ((0x8100, 0),),
    ((0x8100, 0x2001), (0x8100, 2)),
    ((0x88A8, 100), (0x8100, 200)),
    ((0x88A8, 0x1064),),
    ((0x88A8, 1), (0x8100, 2), (0x8100, 3)),
]


@pytest.mark.spec("R1", "R4", "T3", "T6")
def test_exactly_the_frames_sent_with_all_their_tags_in_order_of_time(bench: Bench) -> None:
    bench.record(32 * MIB)
    before = time.time_ns()
    sizes = itertools.cycle([60, 61, 62, 63, 128, 1514])
    sent = [
        (f"peer{1 + number % 2}", frame(number, *TAGGINGS[number % len(TAGGINGS)], size=size))
        for number, size in zip(range(240), sizes, strict=False)
    ]
    bench.send([(name, data, 1, 0.001) for name, data in sent])
    after = time.time_ns()
    bench.complete()

    result, path = bench.extract(before, after)
    assert (result["packets"], result["drops"], result["notes"]) == (240, 0, [])
    assert result["bytes"] == sum(len(data) for _, data in sent)

    file = pcapng_reader.read(path.read_bytes())
    assert file.names == ["port1", "port2"]
    assert [packet.data for packet in file.packets] == [data for _, data in sent]
    assert [file.names[packet.interface] for packet in file.packets] == [
        name.replace("peer", "port") for name, _ in sent
    ]
    times = [packet.time_ns for packet in file.packets]
    assert before <= times[0]
    assert times[-1] <= after
    assert all(one < other for one, other in itertools.pairwise(times))
    assert [file.counter(at, 8) for at in (0, 1)] == [120, 120]
    assert [file.counter(at, 7) for at in (0, 1)] == [0, 0]

    seen = tshark(
        path,
        "frame.time_epoch",
        "frame.interface_name",
        "frame.len",
        "frame.cap_len",
        "vlan.id",
        "ieee8021ad.id",
    )
    assert [epoch(line[0]) for line in seen] == times
    assert [line[1] for line in seen] == [file.names[packet.interface] for packet in file.packets]
    assert [line[2:4] for line in seen] == [[str(len(data))] * 2 for _, data in sent]
    for number, line in enumerate(seen):
        tags = TAGGINGS[number % len(TAGGINGS)]
        for kind, column in ((0x8100, line[4]), (0x88A8, line[5])):
            expected = [str(tci & 0xFFF) for tpid, tci in tags if tpid == kind]
            assert [one for one in column.split(",") if one] == expected

    facts = capinfos(path)
    assert facts["Number of packets"] == "240"
    assert facts["File time precision"] == "nanoseconds"
    assert facts["Strict time order"] == "True"
    assert int(facts["Data size (bytes)"]) == result["bytes"]
    assert "device: test bench" in file.comment


FILTERS = (
    "ip == 10.0.0.1",
    "vlan == 7 and !(l4Protocol == udp)",
    "interface == PORT2 and (tcpPort == 80 or mpls == 16)",
    "srcIp === 2001:db8::/48 or innerVlan != none",
    "portrange == 50-90,4789 and length > 80",
    'bpf("vlan and ip") or bpf("ip6 and udp")',
    "ip == 10.0.0.1 and ip == none",
)


@pytest.mark.spec("F3", "F7", "T4")
def test_a_filter_lets_exactly_the_frames_through_that_match_as_they_were_on_the_wire(bench: Bench) -> None:
    bench.record(32 * MIB)
    before = time.time_ns()
    chance = random.Random(1)
    frames = [random_packets.frame(chance).ljust(60, b"\0") for _ in range(400)]
    sent = [(f"peer{1 + number % 2}", data) for number, data in enumerate(frames)]
    bench.send([(name, data, 1, 0.0005) for name, data in sent])
    after = time.time_ns()
    bench.complete()
    judge = Judge()
    for text in FILTERS:
        tree = parse(text)
        expected = []
        for name, data in sent:

            def bpf(expression: str, data: bytes = data) -> bool:
                return judge(expression, data, len(data))

            if matches(tree, key_of(data, interface=name.replace("peer", "port")), (), bpf):
                expected.append(data)
        assert bool(expected) == ("none" not in text or "!=" in text), text
        result, path = bench.extract(before, after, text)
        file = pcapng_reader.read(path.read_bytes())
        assert [packet.data for packet in file.packets] == expected, text
        rejected = len(sent) - len(expected)
        assert sum(port["rejected"] for port in result["ports"]) == rejected
        assert f"packets of the window that do not match the filter: {rejected}\n" in file.comment
        assert capinfos(path)["Number of packets"] == str(len(expected))


def client(number: int) -> bytes:
    """A frame of one of many clients, which talk to the same server."""
    packet = ipv4(
        6, tcp(40_000 + number % 200, 443), source=f"10.0.0.{number % 200}", destination="192.0.2.1"
    )
    return ethernet(0x0800, packet).ljust(200, b"\0")


@pytest.mark.spec("R13", "R5")
def test_the_needle_is_found_without_reading_the_hay(bench: Bench) -> None:
    """As the recorder's summaries say where it is; without them the same file, by reading everything."""
    bench.record(32 * MIB)
    before = time.time_ns()
    needle = ethernet(0x0800, ipv4(6, tcp(40_001, 443), source="10.9.9.9", destination="192.0.2.1"))
    hay = [(f"peer{1 + number % 2}", client(number), 1, 0.004) for number in range(1500)]
    bench.send([*hay[:750], ("peer1", needle, 1, 0), *hay[750:]])
    after = time.time_ns()
    bench.complete()
    text = "srcIp == 10.9.9.9 and tcpPort == 443"
    result, path = bench.extract(before, after, text)
    file = pcapng_reader.read(path.read_bytes())
    assert [packet.data[: len(needle)] for packet in file.packets] == [needle]
    assert sum(port["rejected"] for port in result["ports"]) == len(hay)
    assert result["read"] < result["reached"] / 2  # a second at both ends of six is always read
    kept = sum(record.length for record in everything(bench.ring))
    summaries = list(bench.ring.glob("*.summary"))
    assert 0 < sum(path.stat().st_size for path in summaries) <= kept * 0.05
    for path in summaries:
        path.unlink()
    plain, path = bench.extract(before, after, text)
    same = pcapng_reader.read(path.read_bytes())
    assert same.packets == file.packets
    assert plain["read"] == plain["reached"] == result["reached"]
    assert {**plain, "read": 0} == {**result, "read": 0}


def everything(ring: Path) -> list[blocks.Record]:
    with RingReader(ring) as reader:
        return reader.records(0, 1 << 62)


GROUPS = (("outer", "outerVlan == 7"), ("tagged", "vlan != none"))
MOST_MIB = 150
"""Of memory, for a hundred files."""


@pytest.mark.spec("T4", "L4")
def test_a_hundred_rows_in_one_pass_are_exact_and_a_full_disk_costs_its_row_alone(bench: Bench) -> None:
    bench.record(32 * MIB)
    before = time.time_ns()
    chance = random.Random(2)
    frames = [random_packets.frame(chance).ljust(60, b"\0") for _ in range(400)]
    sent = [(f"peer{1 + number % 2}", data) for number, data in enumerate(frames)]
    bench.send([(name, data, 1, 0.0005) for name, data in sent])
    after = time.time_ns()
    bench.complete()
    texts = ["", "interface == port1", "group == tagged", "!(group == outer) and l4Protocol == udp", ""]
    texts += [f"vlan == {number} or length == {number}" for number in range(95)]
    small = bench.directory / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", small], check=True)
    try:
        outputs = [bench.directory / f"{number}.pcapng" for number in range(100)]
        outputs[4] = small / "4.pcapng"
        answers, most = bench.extract_rows(before, after, texts, outputs)
    finally:
        subprocess.run(["umount", small], check=True)
    assert "no space left" in answers[4]["error"]["message"]
    groups = [(name, parse(text)) for name, text in GROUPS]
    for number, (text, output) in enumerate(zip(texts, outputs, strict=True)):
        if number == 4:
            continue
        tree = parse(text)
        expected = [
            data
            for name, data in sent
            if matches(tree, key_of(data, interface=name.replace("peer", "port")), groups)
        ]
        assert [packet.data for packet in pcapng_reader.read(output.read_bytes()).packets] == expected, text
        assert answers[number]["result"]["packets"] == len(expected)
    assert most < MOST_MIB * MIB


@pytest.mark.spec("R1")
def test_the_kernel_takes_the_outer_tag_out_and_it_is_put_back_here(bench: Bench) -> None:
    """Otherwise the test above would not show that tags are restored."""
    bench.record(32 * MIB)
    before = time.time_ns()
    bench.send([("peer1", frame(1, (0x88A8, 100), (0x8100, 200)), 1, 0)])
    bench.complete()
    with RingReader(bench.ring) as reader:
        (ref,) = (ref for ref in reader.records(before, time.time_ns()) if not ref.is_news)
        block = reader.read(ref)
    header = struct.unpack_from("<IIIIIIHHIIH", block, blocks.FIRST_PACKET_OFFSET)
    assert header[5] & 0x50 == 0x50  # TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID
    assert header[9:11] == (100, 0x88A8)
    start = blocks.FIRST_PACKET_OFFSET + header[6]
    assert block[start + 12 : start + 16] == struct.pack(">HH", 0x8100, 200)


@pytest.mark.spec("T3", "T6")
def test_the_window_is_exact_to_the_nanosecond(bench: Bench) -> None:
    bench.record(32 * MIB)
    before = time.time_ns()
    bench.send([("peer1", frame(0), 100, 0.002), ("peer2", frame(0), 100, 0)])
    bench.complete()
    _, whole = bench.extract(before, time.time_ns())
    times = [packet.time_ns for packet in pcapng_reader.read(whole.read_bytes()).packets]
    assert len(times) == 200
    for start, end in ((10, 150), (0, 199), (120, 120)):
        for inside in (True, False):
            shift = 0 if inside else 1
            first, last = start + shift, end - shift
            window = times[start] + shift, times[end] - shift
            if window[1] < window[0]:
                continue
            result, path = bench.extract(*window)
            assert result["packets"] == last - first + 1
            seen = tshark(path, "frame.time_epoch") if result["packets"] else []
            assert [epoch(line[0]) for line in seen] == times[first : last + 1]


@pytest.mark.spec("T6")
def test_an_empty_window_is_a_file_that_wireshark_accepts(bench: Bench) -> None:
    bench.record(32 * MIB)
    bench.send([("peer1", frame(0), 1, 0)])
    bench.complete()
    now = time.time_ns()
    result, path = bench.extract(now, now + 1)
    assert result["packets"] == 0
    assert capinfos(path)["Number of packets"] == "0"
    assert "nothing was received" in pcapng_reader.read(path.read_bytes()).comment


@pytest.mark.spec("R5", "R7", "T6")
def test_a_ring_that_is_overwritten_while_it_is_read(bench: Bench) -> None:
    bench.record(segments.SMALLEST_RING)
    before = time.time_ns()
    count = 40_000
    flood = subprocess.Popen(bench.inside(sys.executable, "-c", SENDER), stdin=subprocess.PIPE, text=True)
    assert flood.stdin is not None
    flood.stdin.write(f"peer1 {frame(0, size=1514).hex()} {count} 0.00002\n")
    flood.stdin.close()
    rounds = 0
    while flood.poll() is None:
        check_part(*bench.extract(before, time.time_ns()))
        rounds += 1
    assert rounds > 1
    bench.complete()
    result, path = bench.extract(before, time.time_ns())
    numbers = check_part(result, path)
    assert any("The ring reaches back only to" in note for note in result["notes"])
    # Nobody overwrites any more: without a gap to the very last one.
    if not result["drops"]:
        assert numbers == list(range(count - len(numbers), count))


def check_part(result: dict[str, Any], path: Path) -> list[int]:
    """Each packet at most once, in order; what is missing in between is told. Returns their numbers."""
    file = pcapng_reader.read(path.read_bytes())
    assert len(file.packets) == result["packets"]
    numbers = [int.from_bytes(packet.data[14:18]) for packet in file.packets]
    assert all(one < other for one, other in itertools.pairwise(numbers))
    assert all(packet.data[18:] == frame(0, size=1514)[18:] for packet in file.packets)
    gaps = sum(other - one - 1 for one, other in itertools.pairwise(numbers))
    if gaps:
        assert any("overwritten" in note or "lost" in note for note in result["notes"])
    if result["packets"]:
        assert capinfos(path)["Strict time order"] == "True"
    path.unlink()
    return numbers
