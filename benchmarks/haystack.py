"""A ring as the recorder writes one of a busy link, and pcap files with the same packets.

Blocks of 1 MiB, nearly full, of many conversations; among them packets of a few addresses that are rare.
"""

from __future__ import annotations

import ipaddress
import mmap
import os
import random
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from allegro.capture import _packets
from allegro.capture.ring import record, record_summaries
from allegro.capture.ring.segments import MIB
from allegro.capture.ring.stock import RingBusyError
from allegro.capture.ring.writer import RingWriter
from tests.harness.layers import ethernet, ipv4, tcp
from tests.harness.waiting import wait_for
from tests.unit.capture.blocks import NS, Frame, block

BURSTS, EVEN, FLOW = "172.16.0.1", "172.16.0.2", "172.16.0.3"
"""Addresses of 1 packet of 10,000 in bursts of 20, of as many evenly, and of a tenth of two blocks."""

CLIENTS = 4000
"""Others, of which each block has some."""

SERVERS = 50

_FILE = 128 * MIB
_PER_BLOCK = 1100
_PAYLOAD = 760
_PER_BLOCK_CLIENTS = 150
_DRAWS = 64
"""Of the packets of a block; further ones have the same, but for their times and the rare ones."""
_EVERY = 10_000
_BURST = 20
_START_NS = 1_763_762_000_000_000_000
_BOOT_ID = "5f1d0b0e6a3c4f7c9f0c8a2b7d5e1a90"
_BOOT_NS = 1000 * NS
"""The start of the kernel, and how long it had run at _START_NS."""
_SPACING_NS = 200_000  # a window of minutes: of its first and last half second every record is read
_PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)


class Files:
    """pcap files, as dumpcap's ring of files: the next one when one is large enough."""

    def __init__(self, directory: Path) -> None:
        self.paths: list[Path] = []
        self._directory = directory

    def add(self, frames: Sequence[Frame]) -> None:
        """Appends packets."""
        if not self.paths or self.paths[-1].stat().st_size > _FILE:
            self.paths.append(self._directory / f"{len(self.paths):05}.pcap")
            self.paths[-1].write_bytes(_PCAP_HEADER)
        with self.paths[-1].open("ab") as file:
            for one in frames:
                length = len(one.data)
                file.write(struct.pack("<IIII", *divmod(one.time_ns, NS), length, length) + one.data)


def write(directory: Path, files: Files | None, size: int) -> tuple[int, int]:
    """Makes ring and files (None: only the ring); the window of all packets."""
    writer = RingWriter(directory, size, _START_NS, _BOOT_ID, _BOOT_NS)
    wait_for(lambda: writer.status().size == size, "the ring", 600)
    time_ns = _START_NS
    image = mmap.mmap(-1, MIB)  # aligned, for direct writing
    made: dict[int, bytes] = {}
    for place, (draw, frames) in enumerate(_blocks(size * 9 // 10 // MIB)):
        time_ns = frames[-1].time_ns
        if files is not None:
            files.add(frames)
        if draw is None:
            image[:] = block(frames)
        else:
            image[:] = made.get(draw) or bytes(block(frames))
            made.setdefault(draw, bytes(image))
            _stamp(image, place * _PER_BLOCK)
        _put(writer, memoryview(image))
    writer.close()
    os.sync()
    return _START_NS, time_ns


def _stamp(image: mmap.mmap, number: int) -> None:
    """Gives a block the times of its packets, from this number on (linux/if_packet.h: tpacket3_hdr)."""
    at = record.FIRST_PACKET_OFFSET
    for one in range(number, number + _PER_BLOCK):
        struct.pack_into("<II", image, at + 4, *divmod(_START_NS + one * _SPACING_NS, NS))
        at += struct.unpack_from("<I", image, at)[0]
    for place, one in ((32, number), (40, number + _PER_BLOCK - 1)):  # of the block's first and last
        struct.pack_into("<II", image, place, *divmod(_START_NS + one * _SPACING_NS, NS))


def _put(writer: RingWriter, image: memoryview) -> None:
    slot = None
    while slot is None:
        try:
            slot = writer.place(record.record_length(image))
        except RingBusyError:
            time.sleep(0.01)
    begin_ns, end_ns = record.packet_times(image)
    offset_ns = _START_NS - _BOOT_NS
    times = record.Times(bytes.fromhex(_BOOT_ID), begin_ns - offset_ns, end_ns - offset_ns, offset_ns)
    one = record.seal(image, writer.ring_id, slot.sequence, writer.run, 1, "port1", times=times)
    os.pwrite(slot.segment.descriptor, image[: one.length], slot.offset)
    writer.written(slot, one, _packets.summarize(image, record_summaries.room(one.length)))
    writer.publish()


def _blocks(count: int) -> Iterator[tuple[int | None, list[Frame]]]:
    """The packets of so many blocks; those with the same number differ in nothing but their times."""
    chance = random.Random(1)
    hay = [_packet(client(number), 1024 + number) for number in range(CLIENTS)]
    needles = {one: _packet(one, 50_000 + int(one[-1])) for one in (BURSTS, EVEN, FLOW)}
    draws = []
    for _ in range(_DRAWS):
        present = chance.sample(hay, _PER_BLOCK_CLIENTS)
        draws.append([chance.choice(present) for _ in range(_PER_BLOCK)])
    for place in range(count):
        packets = list(draws[place % _DRAWS])
        rare = False
        for at in range(_PER_BLOCK):
            number = place * _PER_BLOCK + at
            needle = ""
            if number % (_EVERY * _BURST) < _BURST:
                needle = BURSTS
            elif number % _EVERY == _EVERY // 2:
                needle = EVEN
            elif place in (count // 2, count // 2 + 1) and at % 10 == 0:
                needle = FLOW
            if needle:
                packets[at] = needles[needle]
                rare = True
        begin_ns = _START_NS + place * _PER_BLOCK * _SPACING_NS
        frames = [Frame(begin_ns + at * _SPACING_NS, data) for at, data in enumerate(packets)]
        yield None if rare else place % _DRAWS, frames


def server(number: int) -> str:
    """Address of one of SERVERS, each of which is in nearly every block."""
    return str(ipaddress.IPv4Address("192.0.2.1") + number)


def client(number: int) -> str:
    """Address of one of CLIENTS."""
    return f"10.{number % 200}.{number // 200}.{number % 250}"


def _packet(address: str, port: int) -> bytes:
    answers = server(port % SERVERS)
    return ethernet(0x0800, ipv4(6, tcp(port, 443, bytes(_PAYLOAD)), source=address, destination=answers))
