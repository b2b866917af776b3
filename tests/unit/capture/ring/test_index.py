from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.capture.ring import index
from allegro.capture.ring.index import Packer, Summary
from allegro.capture.ring.losses import NO_LOSSES, Losses
from allegro.capture.ring.record import NOWHERE, UNKNOWN_TIMES, Record, Times

S = 1_000_000_000
BOOTS = (b"", bytes(range(16)), bytes(range(16, 32)))
counts = st.integers(0, (1 << 32) - 1)


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    """What a segment may hold: several ports, starts of the kernel, losses, steps of the clock."""
    found, offset = [], 0
    for number in range(draw(st.integers(0, 6))):
        boot = draw(st.sampled_from(BOOTS))
        first, length = draw(st.integers(1, 1 << 60)), draw(st.integers(0, 1 << 30))
        boot_ns, step = draw(st.integers(1, 1 << 60)), draw(st.sampled_from([0, 0, -2 * S, S]))
        losses = draw(st.one_of(st.just(NO_LOSSES), st.builds(Losses, *[counts] * 12)))
        times = Times(boot, boot_ns, boot_ns + length + abs(step), first - boot_ns + step // 2, step)
        if not boot:
            times = UNKNOWN_TIMES
        elif not step:
            times = Times(boot, boot_ns, boot_ns + length, first - boot_ns, 0)
        record = Record(
            sequence=number * 3 + 1,
            run=77,
            length=8192,
            used=5000,
            packets=draw(counts),
            port_index=2,
            flags=draw(st.sampled_from([0, 1, 3])),
            port_name="port2",
            first_ns=first,
            last_ns=first + length,
            losses=losses if any(losses) else NO_LOSSES,
            offset=offset,
            segment=NOWHERE,
        )
        found.append(record._replace(**times._asdict()))
        offset += 8192
    return found


@pytest.mark.spec("R9", "R12")
@given(records())
def test_an_index_holds_everything_that_records_say(known: list[Record]) -> None:
    packer = Packer()
    data = b"".join(map(packer.pack, known))
    assert list(index.parse(data)) == known
    assert len(data) == packer.entries * index.ENTRY_SIZE


@pytest.mark.spec("R2")
@given(records(), st.data())
def test_what_follows_a_damaged_entry_is_not_used(known: list[Record], data: st.DataObject) -> None:
    image = bytearray(b"".join(map(Packer().pack, known)))
    if not image:
        return
    place = data.draw(st.integers(0, len(image) - 1))
    image[place] ^= 1 << data.draw(st.integers(0, 7))
    found = list(index.parse(bytes(image)))
    assert found == known[: len(found)]


@pytest.mark.spec("R2", "R6")
def test_a_summary_counts_only_behind_a_whole_index(tmp_path: Path) -> None:
    packer, summary, data = Packer(), Summary(), b""
    for number in range(5):
        record = Record(
            *(number, 7, 4096, 300, 2, 1, 1, "port1", 10 + number, 20 + number, BOOTS[1], 5 + number),
            *(15 + number, 5, 0, Losses(drops=number), number * 4096),
        )
        data += packer.pack(record)
        summary = summary.plus(record)
    path = tmp_path / "0.index"
    path.write_bytes(data + packer.pack_summary(summary))
    assert (
        index.read_summary(path)
        == summary
        == (
            *(5, 10, 1500, 10, 24, 4, 5 * 4096, 5, 19),
            *2 * (index.start_mark(BOOTS[1]),),
        )
    )
    assert len(index.read(path)) == 5
    path.write_bytes(data[: 3 * index.ENTRY_SIZE] + packer.pack_summary(summary))
    assert index.read_summary(path) is None
    path.write_bytes(data)
    assert index.read_summary(path) is None
    assert index.read_summary(tmp_path / "none.index") is None


def old_entry(kind: int, *fields: int, name: bytes = b"") -> bytes:
    """As version 0.1.0 wrote it."""
    entry = struct.pack("<BBHQQIIIIIII4xQQ16s8x", kind, 0, *fields, name)
    return zlib.crc32(entry).to_bytes(4, "little") + entry


@pytest.mark.spec("U7")
def test_an_index_of_version_0_1_0_is_read_without_boot_times(tmp_path: Path) -> None:
    path = tmp_path / "1.index"
    entries = [old_entry(1, 2, 5, 77, 0, 8192, 5000, 40, 1, 2, 3, 1000, 2000, name=b"port2")]
    entries += [old_entry(1, 2, 6, 77, 8192, 4096, 300, 1, 0, 0, 0, 3000, 3000, name=b"port2")]
    summary = old_entry(2, 0, 6, 41, 0, 0, 5300, 2, 12288, 0, 0, 1000, 3000)
    path.write_bytes(b"".join(entries) + summary)
    first, second = index.read(path)
    assert first[:10] == (5, 77, 8192, 5000, 40, 2, 0, "port2", 1000, 2000)
    assert first.losses == Losses(1, 2, 3)
    assert (first.boot_id, first.last_boot_ns) == (b"", 0)
    assert (second.sequence, second.losses) == (6, NO_LOSSES)
    assert index.read_summary(path) == (2, 41, 5300, 1000, 3000, 6, 12288, 0, 0, 0, 0)


@pytest.mark.spec("U7")
def test_version_0_1_0_takes_a_new_index_as_damaged_and_makes_its_own() -> None:
    """It believes an entry whose checksum is the CRC-32 of the rest, whatever its kind."""
    record = Record(1, 7, 4096, 300, 2, 1, 1, "port1", 10, 20, BOOTS[1], 5, 15, 5, 0, Losses(drops=1))
    packer = Packer()
    data = packer.pack(record) + packer.pack_summary(Summary().plus(record))
    for place in range(0, len(data), index.ENTRY_SIZE):
        entry = data[place : place + index.ENTRY_SIZE]
        assert zlib.crc32(entry[4:]) != int.from_bytes(entry[:4], "little")
