"""The fast way to a verdict (key and program, in C) against the slow and obvious one (`reference`)."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

import pytest

from allegro.capture import _packets
from allegro.errors import InvalidInput
from allegro.filters import libpcap
from allegro.filters.fields import Field, Operator
from allegro.filters.parse import parse
from allegro.filters.program import HEADER, MOST_TESTS, TEST, compiled, for_interface
from allegro.filters.reference import matches
from allegro.filters.tree import EVERYTHING, Bpf, Compare, Or
from tests.harness import random_packets
from tests.harness.frame_key import key_of
from tests.harness.judge import Judge
from tests.harness.layers import ethernet, ipv4, tcp
from tests.unit.capture.blocks import Frame, block, index_of

pytestmark = pytest.mark.spec("F3", "F4", "F7")

T = 1_763_762_605_000_000_000
WHENEVER = (0, 2**62, 0)
INTERFACES = random_packets.INTERFACES


def as_received(number: int, frame: bytes, chance: random.Random) -> Frame:
    """What the kernel makes of a frame: it takes the outer tag out, if the whole of it is there."""
    wire = len(frame) + chance.choice((0, 0, 40))
    if len(frame) >= 16 and frame[12:14] in (b"\x81\x00", b"\x88\xa8") and chance.random() < 0.7:
        tpid, tci = struct.unpack_from(">HH", frame, 12)
        known = None if tpid == 0x8100 and chance.random() < 0.3 else tpid
        return Frame(T + number, frame[:12] + frame[16:], tci, known, wire - 4)
    return Frame(T + number, frame, wire=wire)


def verdicts(frames: Sequence[Frame], programs: Sequence[bytes]) -> list[list[bool]]:
    """For each program, for each frame: whether C lets it through."""
    whole = block(frames, size=1024 + sum(len(one.data) + 96 for one in frames))
    (used,) = struct.unpack_from("<I", whole, 20)
    image = bytes(whole[:used])  # nothing behind it that could be read without being noticed
    packets, indexes = _packets.match(image, index_of(image), *WHENEVER, _packets.rows(programs))
    assert packets == len(frames)
    passed = ({time_ns - T for time_ns, _, _ in struct.iter_unpack("<QII", index)} for index in indexes)
    return [[number in numbers for number in range(len(frames))] for numbers in passed]


def compare(seed: int, frames: int, filters: int) -> None:
    """Raises AssertionError with the first packet that the two see differently."""
    chance = random.Random(seed)
    judge = Judge()
    names = ("left", "Right", "rest")
    groups = tuple((name, random_packets.tree(chance, 1)) for name in names)
    received = [as_received(number, random_packets.frame(chance), chance) for number in range(frames)]
    lengths = [(one.wire or len(one.data)) + (4 if one.tci is not None else 0) for one in received]
    trees = [random_packets.tree(chance, groups=names) for _ in range(filters)]
    programs = [compiled(tree, groups, libpcap.compiled) for tree in trees]
    for interface in INTERFACES:
        keys = [
            key_of(one.sent, interface=interface, length=length)
            for one, length in zip(received, lengths, strict=True)
        ]
        found = verdicts(received, [for_interface(program, interface) for program in programs])
        for tree, row in zip(trees, found, strict=True):
            for one, key, length, verdict in zip(received, keys, lengths, row, strict=True):

                def bpf(text: str, frame: bytes = one.sent, length: int = length) -> bool:
                    return judge(text, frame, length)

                assert matches(tree, key, groups, bpf) == verdict, (tree, groups, one.sent.hex(), length)


@pytest.mark.parametrize("seed", range(4))
def test_the_fast_way_finds_what_the_plain_one_says(seed: int) -> None:
    compare(seed, frames=500, filters=30)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 200))
def test_the_fast_way_finds_what_the_plain_one_says_of_many(seed: int) -> None:
    compare(seed, frames=1000, filters=300)


def test_a_packet_cut_off_anywhere() -> None:
    """At every length each condition says the same, and no byte behind the end is looked at."""
    chance = random.Random(7)
    judge = Judge()
    for _ in range(20):
        whole = random_packets.frame(chance)
        trees = [random_packets.tree(chance, 0) for _ in range(40)]
        programs = [for_interface(compiled(tree, (), libpcap.compiled), "port1") for tree in trees]
        for size in range(1, len(whole) + 1):
            one = as_received(0, whole[:size], chance)
            length = (one.wire or len(one.data)) + (4 if one.tci is not None else 0)
            key = key_of(one.sent, interface="port1", length=length)

            def bpf(text: str, frame: bytes = one.sent, length: int = length) -> bool:
                return judge(text, frame, length)

            for tree, (verdict,) in zip(trees, verdicts([one], programs), strict=True):
                assert matches(tree, key, (), bpf) == verdict, (tree, one.sent.hex())


@pytest.mark.spec("F6")
def test_no_condition_lets_everything_through() -> None:
    frames = [Frame(T, b""), Frame(T + 1, b"\x01"), Frame(T + 2, ethernet(0x0800, ipv4(6, tcp(1, 2))))]
    assert verdicts(frames, [compiled(EVERYTHING), compiled(Or(()))]) == [[True] * 3, [False] * 3]


def test_only_packets_of_the_window_count() -> None:
    frames = [Frame(T + number, bytes(60)) for number in range(10)]
    image = block(frames)
    packets, (index,) = _packets.match(
        image, index_of(image), T - 1000 + 3, T - 1000 + 6, 1000, _packets.rows([compiled(EVERYTHING)])
    )
    assert packets == 4
    assert [time_ns - T for time_ns, _, _ in struct.iter_unpack("<QII", index)] == [3, 4, 5, 6]
    assert _packets.match(image, b"", 0, 2**62, 0, _packets.rows([])) == (0, ())


def test_a_filter_that_is_too_large_is_refused_with_a_remedy() -> None:
    with pytest.raises(InvalidInput, match=f"more than {MOST_TESTS} tests") as caught:
        compiled(Or((Compare(Field.LENGTH, Operator.LESS, 60),) * (MOST_TESTS + 1)))
    assert "subnets" in caught.value.remedy


RETURN = b"\x06\0\0\0\1\0\0\0"
BAD_BPF = (
    b"",
    b"\x34\0\0\0\2\0\0\0",  # no answer at its end
    RETURN * 2 + b"\x15\0\5\0\1\0\0\0",
    b"\x15\0\1\0\1\0\0\0" + RETURN,  # jumps beyond it
    b"\x05\0\0\0\1\0\0\0" + RETURN,
    b"\x05\0\0\0\xff\xff\xff\xff" + RETURN,  # or back
    b"\x34\0\0\0\0\0\0\0" + RETURN,  # divides by zero
    b"\x02\0\0\0\x10\0\0\0" + RETURN,  # a 17th word of memory
    b"\xff\0\0\0\0\0\0\0" + RETURN,
)


def damaged(program: bytes) -> list[tuple[str, bytes]]:
    magic, tests, constants = HEADER.unpack_from(program)
    first = list(TEST.unpack_from(program, HEADER.size))

    def with_test(**changes: int) -> bytes:
        names = ("operation", "field", "count", "yes", "no", "offset")
        values = [changes.get(name, value) for name, value in zip(names, first, strict=True)]
        return program[: HEADER.size] + TEST.pack(*values) + program[HEADER.size + TEST.size :]

    return [
        ("cut off", program[: HEADER.size - 1]),
        ("another version", b"\0" + program[1:]),
        ("no tests", HEADER.pack(magic, 0, 0)),
        ("too many", HEADER.pack(magic, 65535, 0) + bytes(65535 * TEST.size)),
        ("length", program[:-1]),
        ("length", program + b"\0"),
        ("length", HEADER.pack(magic, tests, constants + 1) + program[HEADER.size :]),
        ("not known", with_test(operation=255)),
        ("field that is not known", with_test(field=200)),
        ("no IP version", with_test(operation=2, field=5)),
        ("outside", with_test(offset=constants + 1)),
        ("outside", with_test(count=60000)),
        ("no later test", with_test(yes=0)),
        ("no later test", with_test(no=tests)),
    ]


def test_a_damaged_program_is_refused_before_it_runs() -> None:
    program = compiled(Compare(Field.PORT, Operator.EQUAL, 80))
    for words, broken in damaged(program):
        with pytest.raises(ValueError, match=words):
            _packets.rows([program, broken])
    for bad in BAD_BPF:
        with pytest.raises(ValueError, match="BPF program"):
            _packets.rows([compiled(Bpf("x"), (), {"x": bad}.__getitem__)])


def test_an_index_or_block_that_does_not_fit_is_noticed() -> None:
    image = block([Frame(T, bytes(60))])
    rows = _packets.rows([compiled(EVERYTHING)])
    with pytest.raises(ValueError, match="broken length"):
        _packets.match(image, b"123", *WHENEVER, rows)
    with pytest.raises(_packets.BlockError, match="outside the block"):
        _packets.match(image, struct.pack("<QII", T, 1 << 30, 0), *WHENEVER, rows)
    with pytest.raises(OverflowError):
        _packets.match(image, b"", 0, 1 << 63, 0, rows)
    with pytest.raises(TypeError):
        _packets.rows(["text"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="Capsule"):
        _packets.match(image, b"", *WHENEVER, [compiled(EVERYTHING)])  # type: ignore[arg-type]


@pytest.mark.spec("L4")
def test_a_hundred_groups_fit_and_the_first_that_matches_decides() -> None:
    groups = [
        (f"g{number}", parse(f"vlan == {number} or port == {number} or vlan == {number + 1}"))
        for number in range(100)
    ]
    frames = [Frame(T + at, bytes(12) + b"\x88\xb5" + bytes(50), tci=at + 1) for at in range(100)]
    texts = ["group == g50", "group ~ g", "group == none", "group ~ g1 and not group == g10", "group === G1"]
    programs = [for_interface(compiled(parse(text), groups), "port1") for text in texts]
    found = [[number + 1 for number, yes in enumerate(row) if yes] for row in verdicts(frames, programs)]
    ones = [1, *range(10, 20)]
    assert found == [[51], list(range(1, 101)), [], [number + 1 for number in ones if number != 10], []]
