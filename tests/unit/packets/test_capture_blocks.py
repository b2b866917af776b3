"""Files of packets part by part, and which of their packets pass a filter."""

import io
from collections.abc import Sequence

import pytest

from allegro.capture.extraction.classic import file_header
from allegro.errors import InvalidInput
from allegro.filters.translate import translated
from allegro.packets.capture_blocks import Damage, Packet, parts
from allegro.packets.packet_sieve import PacketSieve
from allegro.packets.sandbox import take
from allegro.packets.sandbox_contract import Task
from tests.harness.conversation import conversation, segment
from tests.harness.frames import udp_frame
from tests.harness.sharkd import pcapng_file

pytestmark = pytest.mark.spec("W12")

FRAMES = [*conversation(40001), *conversation(40002)]
PORTS = ["port1", "port2", "port1", "port2", "port1", "port2", "port1", "port2"]
PCAPNG = pcapng_file([(port, frame, len(frame)) for port, frame in zip(PORTS, FRAMES, strict=True)])
CLASSIC = file_header(0) + b"".join(
    bytes(8) + len(frame).to_bytes(4, "little") * 2 + frame for frame in FRAMES
)


def read(data: bytes) -> tuple[list[Packet], str]:
    """The packets, and why there are no more."""
    found: list[Packet] = []
    try:
        found.extend(part for part in parts(io.BytesIO(data)) if isinstance(part, Packet))
    except Damage as damage:
        return found, str(damage)
    return found, ""


def taken(
    data: bytes, filter_text: str = "", most_packets: int = 1000, most_bytes: int = 1 << 20
) -> tuple[bytes, int, bool, str]:
    out = io.BytesIO()
    program = translated(filter_text)[1] if filter_text else b""
    made = take(io.BytesIO(data), out.write, Task(program, most_packets, most_bytes))
    return out.getvalue(), made.packets, made.more, made.broken


@pytest.mark.parametrize(("data", "ports"), [(PCAPNG, PORTS), (CLASSIC, [""] * 8)], ids=["pcapng", "pcap"])
def test_every_packet_is_found_with_its_port(data: bytes, ports: Sequence[str]) -> None:
    found, damage = read(data)
    assert [each.raw[each.frame] for each in found] == FRAMES
    assert [each.interface for each in found] == ports
    assert damage == ""


@pytest.mark.parametrize("data", [PCAPNG, CLASSIC], ids=["pcapng", "pcap"])
def test_a_file_that_is_cut_anywhere_gives_what_comes_before(data: bytes) -> None:
    whole, _ = read(data)
    for length in range(8, len(data)):
        found, damage = read(data[:length])
        assert found == whole[: len(found)]
        assert damage == "It ends in the middle of a packet." or length == len(data[:length])
    assert read(data[:-1])[1] == "It ends in the middle of a packet."


def test_what_is_no_file_of_packets_is_refused_and_damage_is_told() -> None:
    for data in (b"", b"\0" * 7, b"PK\3\4 an archive", bytes(range(256)) * 9):
        with pytest.raises(InvalidInput, match="no file of packets"):
            read(data)
    before, _ = read(PCAPNG)
    at = PCAPNG.index(before[3].raw)
    found, damage = read(PCAPNG[:at] + b"\xff" * 64 + PCAPNG[at + 64 :])
    assert (found, damage) == (before[:3], "It is damaged.")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("tcpPort == 40002", [4, 5, 6, 7]),
        ("srcIp == 192.0.2.80", [1, 3, 5, 7]),
        ('interface == "port2" and tcpPort == 40001', [1, 3]),
        ("length > 60 and !(port == 40001)", [6, 7]),
        ("vlan == 7", []),
        ('bpf("tcp[13] == 2")', [0, 4]),
    ],
)
def test_a_filter_means_for_a_file_what_it_means_for_the_ring(text: str, wanted: list[int]) -> None:
    packets, _ = read(PCAPNG)
    assert list(PacketSieve(translated(text)[1]).passing(packets)) == [packets[number] for number in wanted]


def test_a_port_that_the_format_does_not_know_is_none() -> None:
    assert taken(CLASSIC, 'interface == "port1"')[1] == 0
    assert taken(CLASSIC, "tcpPort == 40001")[1] == 4


@pytest.mark.parametrize("data", [PCAPNG, CLASSIC], ids=["pcapng", "pcap"])
def test_what_is_taken_is_a_file_again_of_the_first_packets_that_pass(data: bytes) -> None:
    assert taken(data)[0] == data
    some, packets, more, broken = taken(data, "tcpPort == 40002", most_packets=3)
    assert [each.raw[each.frame] for each in read(some)[0]] == FRAMES[4:7]
    assert (packets, more, broken) == (3, True, "")
    assert taken(data, "tcpPort == 40002", most_packets=4)[1:] == (4, False, "")
    assert taken(data, most_bytes=300)[2] is True
    assert len(taken(data, most_bytes=300)[0]) <= 300


@pytest.mark.parametrize("data", [PCAPNG, CLASSIC], ids=["pcapng", "pcap"])
def test_those_behind_the_first_ones_are_taken(data: bytes) -> None:
    for program, skip, wanted in (
        (b"", 5, FRAMES[5:]),
        (translated("tcpPort == 40002")[1], 1, FRAMES[5:8]),
        (b"", 8, []),
    ):
        out = io.BytesIO()
        made = take(io.BytesIO(data), out.write, Task(program, skip=skip))
        assert [each.raw[each.frame] for each in read(out.getvalue())[0]] == wanted
        assert (made.packets, made.more, made.searched) == (len(wanted), False, 0)


def test_to_leave_many_out_takes_no_longer_than_there_is_time() -> None:
    large = pcapng_file([("port1", udp_frame(1), 128)] * 500)
    moments = iter(range(1000))
    made = take(io.BytesIO(large), io.BytesIO().write, Task(seconds=2, skip=499), lambda: next(moments))
    assert (made.packets, made.more) == (0, True)
    assert 0 < made.searched < len(large)


def test_a_filter_is_looked_for_no_longer_than_there_is_time() -> None:
    large = pcapng_file([("port1", udp_frame(1), 128)] * 500)
    moments = iter(range(1000))
    made = take(
        io.BytesIO(large),
        io.BytesIO().write,
        Task(translated("vlan == 7")[1], seconds=2),
        lambda: next(moments),
    )
    assert made.more
    assert 0 < made.searched < len(large)


def test_a_packet_that_was_cut_has_its_length_on_the_wire() -> None:
    data = pcapng_file([("port1", segment(("192.0.2.1", 1), ("192.0.2.2", 2), 1, 1, 2)[:54], 1500)])
    assert taken(data, "length == 1500")[1] == 1
