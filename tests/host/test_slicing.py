"""Slicing rules on a real kernel: what it keeps, how rules change under traffic, what files say of that."""

from __future__ import annotations

import ctypes
import functools
import os
import random
import signal
import socket
import struct
from pathlib import Path

import pytest

from allegro.capture.config import load
from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.port_rules import PortRules
from allegro.capture.ring.news import Discarded, PortOpened, RulesChanged, RulesHeld
from allegro.capture.ring.reader import RingReader
from allegro.filters.kernel_program import assembled
from allegro.filters.rule_texts import Text, rule_set
from allegro.filters.slicing import deciding, kept
from tests.harness.frame_key import key_of
from tests.harness.namespaces import Namespace
from tests.harness.waiting import PATIENCE, wait_for
from tests.host.recording import MIB, Load, Recording, add_port, contents, frame, packets, send
from tests.unit.capture import pcapng_reader
from tests.unit.filters.test_kernel_program import TAGS, frames, rules

pytestmark = pytest.mark.spec("R3")

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
SO_ATTACH_FILTER = 26
AUXDATA = struct.Struct("IIIHHHH")  # struct tpacket_auxdata: status, len, snaplen, …
VLAN_VALID = 0x10
BEHIND = 1400
"""Bytes of a packet that comes behind those that are judged; none of them is so large."""


def attach(receiver: socket.socket, program: bytes) -> None:
    held = ctypes.create_string_buffer(program, len(program))
    told = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
    receiver.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, told)


def listener() -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    made.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    made.settimeout(10 * PATIENCE)
    made.bind(("port1", ETH_P_ALL))
    return made


def received(receiver: socket.socket) -> int:
    """How many bytes of the next packet are kept, its tag counted where it comes back."""
    data, ancillary, _, _ = receiver.recvmsg(65536, 256)
    (status, *_), *_ = (AUXDATA.unpack(value) for level, _, value in ancillary if level == SOL_PACKET)
    return len(data) + (4 if status & VLAN_VALID and len(data) >= 12 else 0)


@pytest.mark.spec("F7")
def test_the_kernels_verdict_is_what_the_rules_say(namespace: Namespace) -> None:
    """Packets of all kinds over veth, which takes the outer tag out as a network card's driver does."""
    add_port(namespace, 1)
    chance = random.Random(21)

    def compare() -> None:
        # The queue of one processor: packets stay in order. The socket that was bound last sees them first.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        with listener() as everything, listener() as judged, socket.socket(socket.AF_PACKET, 3, 0) as sender:
            sender.bind(("gen1", 0))
            for _ in range(60):
                ordered = rules(chance, chance.choice((1, 3, 6)))
                attach(judged, assembled(ordered, "port1"))
                sent = list(frames(chance, 50))
                wanted = []
                for data in sent:
                    sender.send(data)
                    received(everything)
                    tagged = data[12:14] in TAGS
                    rule = deciding(ordered, key_of(data, interface="port1"))
                    wanted.append(kept(rule, len(data), tag_taken_out=tagged))
                attach(judged, assembled([], "port1"))
                sender.send(bytes(BEHIND))
                received(everything)
                found: list[int] = []
                while (size := received(judged)) != BEHIND:
                    found.append(size)
                assert found == [size for size in wanted if size], ordered

    namespace.call(compare)


def told(*texts: Text) -> PortRules:
    made = rule_set(texts, ())
    programs = tuple(dict.fromkeys(made.programs.values()))
    return PortRules(
        made.described, programs, {name: programs.index(code) for name, code in made.programs.items()}
    )


def tell(recording: Recording, rules: PortRules) -> None:
    recording.options["rules"] = rules
    recording.configure()
    assert load(recording.directory / "recorder.json").rules == rules
    recording.signal(signal.SIGHUP)


def cut(recording: Recording, output: Path) -> Result:
    request = Request(
        recording.ring, 0, (1 << 63) - 1, output, status_file=recording.directory / "status.json"
    )
    return extract(request, lambda *_: None, Courtesy(None))


def is_logged(recording: Recording, text: str) -> bool:
    return text in recording.log.read_text()


TAG = struct.pack(">HH", 0x8100, 7)


@pytest.mark.spec("R5", "R10", "R12", "T6")
def test_the_file_says_which_rules_held_what_is_shorter_and_what_was_discarded(
    namespace: Namespace, recording: Recording, tmp_path: Path
) -> None:
    add_port(namespace, 1)
    recording.options["rules"] = told(
        Text("tagged", "vlan == 7", "keep", 100), Text("large", "length > 500", "discard")
    )
    recording.start_with_ports("port1")
    sent: list[bytes] = []
    for number in range(300):
        sent += [frame(1, number, 200), frame(2, number, 200, tag=TAG), frame(3, number, 600)]
    send(namespace, "gen1", sent)
    wait_for(lambda: recording.status().discarded == 300, "discards", 20)
    report = recording.status()
    assert report.ports[0].packets == 600
    assert report.drops == 0
    assert "tagged" in report.rules
    recording.wait_until_complete()
    recording.stop()
    result = cut(recording, tmp_path / "x.pcapng")
    with_rules = "1. tagged: keep 100 bytes of vlan == 7; 2. large: discard length > 500"
    assert f"Rules for what is kept of packets of port1: {with_rules}." in result.notes
    assert "300 packets of port1 are shorter in this file than on the wire." in result.notes
    assert any(
        note.startswith("About 300 packets of port1 were discarded by a rule") for note in result.notes
    )
    assert not any(" lost " in note for note in result.notes)
    assert recording.losses().system == 0
    (port,) = result.ports
    assert (port.packets, port.discarded, port.drops) == (600, 300, 0)
    file = pcapng_reader.read((tmp_path / "x.pcapng").read_bytes())
    ours = [packet for packet in file.packets if packet.wire in (200, 600)]
    assert sorted({(len(packet.data), packet.wire) for packet in ours}) == [(100, 200), (200, 200)]
    assert all(packet.data[12:16] == TAG for packet in ours if len(packet.data) == 100)


def test_rules_changed_a_hundred_times_under_traffic(namespace: Namespace, recording: Recording) -> None:
    """No packet is lost, and each was judged by the rules that were in force by the order of the news."""
    add_port(namespace, 1)
    recording.take_any_load()
    recording.start_with_ports("port1")
    load_on = Load(namespace, "gen1", size=512)
    try:
        for number in range(100):
            name = f"set {number}."
            tell(recording, told(Text(name, "", "keep", 100 + number)))
            wait_for(functools.partial(is_logged, recording, name), name, 20, interval=0.01)
    finally:
        sent = load_on.stop()
    recording.wait_until_complete()
    recording.stop()
    assert recording.losses().system == 0
    seen = contents(recording.ring)
    assert [packet.number for packet in seen] == list(range(sent))
    lengths = [packet.length for packet in seen if packet.length != 512]
    assert [packet.length for packet in seen] == [512] * (sent - len(lengths)) + lengths
    assert lengths == sorted(lengths)  # the order of packets is that of their verdicts: no rule comes back
    changes = [item for item in recording.news() if isinstance(item, RulesChanged)]
    assert [change.text for change in changes] == [
        f"1. set {number}.: keep {100 + number} bytes of all packets" for number in range(100)
    ]
    for number, change in enumerate(changes):
        after = [packet.length for packet in seen if packet.time_ns > change.wall_ns]
        assert not after or after[0] in range(100 + number, 200)
    assert {change.ports for change in changes} == {"port1"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_rules_changed_a_hundred_times_under_the_traffic_of_a_generator(
    namespace: Namespace, recording: Recording, tmp_path: Path
) -> None:
    """The same with ten times the packets, about 200,000 a second, which are alike."""
    sent, file = 800_000, tmp_path / "packet.cfg"
    file.write_text(f"{{ {', '.join(map(str, frame(1, 0, 512)))} }}\n")
    add_port(namespace, 1)
    recording.ring_size = 1024 * MIB
    recording.take_any_load()
    recording.start_with_ports("port1")
    command = ["trafgen", "-i", str(file), "-o", "gen1", "-P", "1", "-t", "1us", "-n", str(sent)]
    generator = namespace.spawn(command, tmp_path / "generator")
    for number in range(100):
        name = f"set {number}."
        tell(recording, told(Text(name, "", "keep", 100 + number)))
        wait_for(functools.partial(is_logged, recording, name), name, 20, interval=0.01)
    generator.wait(60 * PATIENCE)
    print((tmp_path / "generator").read_text())
    recording.wait_until_complete()
    recording.stop()
    assert recording.losses().system == 0
    changes = [item for item in recording.news() if isinstance(item, RulesChanged)]
    assert len(changes) == 100
    count, until_ns = 0, dict[int, int]()  # of packets of each length, in their order: the last one's time
    with RingReader(recording.ring) as reader:
        for record in reader.records(0, 1 << 62):
            for seen in packets(reader.read(record), record):
                count += 1
                assert seen.length not in until_ns or seen.length == next(reversed(until_ns)), "an old rule"
                until_ns[seen.length] = seen.time_ns
    assert count == sent
    assert list(until_ns) == [512, *sorted(until_ns.keys() - {512})]
    for number, change in enumerate(changes):
        assert all(
            ns <= change.wall_ns for size, ns in until_ns.items() if size not in range(100 + number, 200)
        )


@pytest.mark.spec("R10", "R12")
def test_a_program_that_the_kernel_refuses_changes_nothing_and_the_status_says_so(
    namespace: Namespace, recording: Recording
) -> None:
    add_port(namespace, 1)
    recording.options["rules"] = told(Text("short", "", "keep", 100))
    recording.start_with_ports("port1")
    bad = struct.pack("=HBBI", 0x15, 200, 200, 1) + struct.pack("=HBBI", 6, 0, 0, 7)  # jumps beyond its end
    tell(recording, PortRules("bad", (bad,), {"port1": 0}))
    wait_for(lambda: "did not take the rules for port1" in recording.status().message, "the refusal", 20)
    send(namespace, "gen1", [frame(1, 0, 300)])
    tell(recording, PortRules())
    wait_for(lambda: not recording.status().message and not recording.status().rules, "no rules", 20)
    send(namespace, "gen1", [frame(1, 1, 300)])
    recording.wait_until_complete()
    recording.stop()
    assert [packet.length for packet in contents(recording.ring)] == [100, 300]
    texts = [
        (type(item), item.text) for item in recording.news() if isinstance(item, RulesHeld | RulesChanged)
    ]
    assert texts[0] == (RulesHeld, "1. short: keep 100 bytes of all packets")
    assert texts[-1] == (RulesChanged, "")
    assert not any(text == "bad" for _, text in texts)


@pytest.mark.spec("R5")
def test_what_a_rule_discards_on_a_new_port_is_no_loss(namespace: Namespace, recording: Recording) -> None:
    add_port(namespace, 1)
    recording.options["rules"] = told(Text("nothing", "", "discard"))
    recording.start_with_ports("port1")
    add_port(namespace, 2)
    recording.wait_for_ports("port1", "port2")
    for port in (1, 2):
        send(namespace, f"gen{port}", (frame(port, number) for number in range(50)))
    wait_for(lambda: [port.discarded for port in recording.status().ports] == [50, 50], "discards", 20)
    assert [port.drops for port in recording.status().ports] == [0, 0]
    recording.stop()
    assert contents(recording.ring) == []
    assert recording.losses().system == 0
    news = recording.news()
    assert sum(item.packets for item in news if isinstance(item, Discarded)) == 100
    assert [item.port for item in news if isinstance(item, PortOpened)] == ["port1", "port2"]
