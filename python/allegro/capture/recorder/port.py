"""One measuring port while it is recorded: its socket, which blocks are under way, and what it counted."""

from __future__ import annotations

import time
from collections import deque

from allegro.capture.port_rules import discards
from allegro.capture.recent import RecentMaximum
from allegro.capture.recorder.counters import CardLosses, InterfaceCounters, Row
from allegro.capture.recorder.discards import Discards
from allegro.capture.recorder.socket import RingSocket
from allegro.capture.ring import record as blocks
from allegro.capture.ring.losses import NO_LOSSES, Losses
from allegro.capture.status import PortStatus

_QUIET_NS = 200_000_000
"""What the kernel may be late, beyond the retire time, in handing over a block."""

_RATE_SAMPLES = 5

_SPARE = 4


def port_index(name: str) -> int:
    """The number in a port's name, 0 without one."""
    return int("".join(filter(str.isdigit, name)) or 0) & 0xFFFF


class RecordedPort:
    """`index` is the number in the port's name; `busy` has one flag per block that is being written, and of
    `copied` blocks a copy is.

    At `emptied_boot_ns` no block was waiting to be taken; the last packet taken came in at `last_boot_ns`.
    `link_up` is what is known of its link; `program` is attached (empty: none), and `rules` says in words
    what it does, since `rules_since_ns`; that was told at `rules_told_ns`, and the first packet since came in
    at `passed_since_ns` (0: none did). All times are ns of CLOCK_BOOTTIME.
    """

    def __init__(self, name: str, ifindex: int, socket: RingSocket, retire_ms: int, now_ns: int) -> None:
        self.name = name
        self.index = port_index(name)
        self.ifindex = ifindex
        self.socket = socket
        self.busy = bytearray(len(socket.blocks))
        self.under_way = 0
        self.copied = 0
        self.closing_since: float | None = None
        self.emptied_boot_ns = now_ns
        self.last_boot_ns = 0
        self.losses = NO_LOSSES
        """What was lost and stands in no record yet."""
        self.program = b""
        self.rules = ""
        self.rules_since_ns = 0
        self.rules_told_ns = 0
        self.passed_since_ns = 0
        self.discards = Discards()
        self.fullest = 0.0
        """The largest part (0..1) of the blocks that was under way since the last sample."""
        self._recent_fullest = RecentMaximum()
        self._next = 0
        self._retire_ns = retire_ms * 1_000_000
        self._packets = 0
        self._lost = NO_LOSSES
        self._counted_ns = self._sampled_ns = now_ns
        self._counters = InterfaceCounters(name)
        self._card_at_start, self._bytes_at_start = self._counters.losses(), self._counters.bytes()
        self._card = CardLosses()
        self._row_lost: tuple[bytes, ...] | None = None
        self.link_up = self._counters.link_up()
        self.counts = PortStatus(name=name, index=self.index, link_up=self.link_up)
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=_RATE_SAMPLES)

    def ready(self) -> int | None:
        """The number of the next block that the kernel has handed over, None if there is none."""
        number = self._next
        if self.busy[number] or not blocks.is_ready(self.socket.blocks[number]):
            return None
        return number

    def piled_up(self) -> bool:
        """Whether the kernel has handed over the block behind the next one, too."""
        number = (self._next + 1) % len(self.busy)
        return not self.busy[number] and blocks.is_ready(self.socket.blocks[number])

    def take(self) -> None:
        """The block that `ready` told is being written from now on."""
        self.busy[self._next] = 1
        self.under_way += 1
        self.skip()

    def take_copied(self) -> None:
        """A copy of the block that `ready` told is being written; the kernel gets the block itself back."""
        self.copied += 1
        self.skip()

    def skip(self) -> None:
        """Goes on behind the block that `ready` told."""
        self._next = (self._next + 1) % len(self.busy)

    def finished(self, number: int) -> None:
        """A block that was taken is with the kernel again."""
        self.busy[number] = 0
        self.under_way -= 1

    def has_memory_to_spare(self) -> bool:
        """Whether less than a quarter of the port's memory is waiting for the disk."""
        return self.under_way * _SPARE < len(self.busy)

    def quiet_through(self, now_ns: int) -> int:
        """If no block is waiting or under way at this time: up to when all that came in is in the ring."""
        return now_ns - self._retire_ns - _QUIET_NS

    def count(self, now_ns: int) -> None:
        """Asks the kernel what happened since the last time."""
        news = self.socket.statistics()
        self._packets += news.packets
        if news.drops or news.freezes:
            self._lose(Losses(drops=news.drops, freezes=news.freezes), self._counted_ns, now_ns)
        self._counted_ns = now_ns

    def lose_unwritten(self, record: blocks.Record, now_ns: int) -> None:
        """A record with this port's packets, or losses, could not be written."""
        if record.packets:
            self._lose(Losses(unwritten=record.packets), record.first_boot_ns, now_ns)
        self.losses = self.losses.plus(record.losses)

    def lose_unrecorded(self, packets: int, since_ns: int, now_ns: int) -> None:
        """Packets for which there was no ring, or that came in while the port was being opened."""
        self._lose(Losses(unrecorded=packets), since_ns, now_ns)

    def filter(self, program: bytes, now_ns: int) -> None:
        """Lets the kernel judge packets by this program; raises OSError if it does not take it."""
        self._count_discarded(now_ns)
        self.socket.filter(program)
        if discards(program):
            self.count(now_ns)
            self.discards.begin(self._counters.packets(), self._packets, now_ns)
        else:
            self.discards.end()

    def received_before(self, now_ns: int) -> int:
        """How many packets the interface had received when the socket began to receive."""
        before = self._counters.packets()
        self.count(now_ns)
        return max(before - self._packets, 0)

    def take_losses(self) -> Losses:
        """What stands in no record yet; it is to be put into the next one."""
        untold, self.losses = self.losses, NO_LOSSES
        return untold

    def sample(self, now_ns: int, row: Row | None = None) -> None:
        """Takes over the interface's own counters and works out the rates (over about a second).

        `row` is what the table of all interfaces says of this one, just read; without it, its own files are.
        """
        self._count_discarded(now_ns, row)
        if row is None or row.lost != self._row_lost:
            self._row_lost = row.lost if row is not None else None
            self._count_card(now_ns)
        self._sampled_ns = now_ns
        received = row.octets if row is not None else self._counters.bytes()
        byte_count = max(received - self._bytes_at_start, self.counts.bytes)
        now = time.monotonic()
        self._samples.append((now, self._packets, byte_count))
        before, packets, byte_mark = self._samples[0]
        seconds = max(now - before, 1e-3)
        self._recent_fullest.note(self.fullest, now)
        self.fullest = 0.0
        lost = self._lost
        self.counts = PortStatus(
            name=self.name,
            index=self.index,
            link_up=self._counters.link_up(),
            packets=self._packets,
            bytes=byte_count,
            discarded=self.discards.total,
            drops=lost.system,
            unwritten=lost.unwritten,
            unrecorded=lost.unrecorded,
            nic_missed=lost.card,
            nic_fifo=lost.fifo,
            nic_over=lost.over,
            nic_dropped=lost.dropped,
            refused_crc=lost.crc,
            refused_length=lost.length,
            freezes=lost.freezes,
            packets_per_s=round((self._packets - packets) / seconds, 1),
            bytes_per_s=round((byte_count - byte_mark) / seconds, 1),
            recent_fullest=round(self._recent_fullest.value(now), 3),
        )

    def stop(self) -> None:
        """Receives nothing more; what was received is still to be written."""
        if self.closing_since is None:
            self.closing_since = time.monotonic()
            self.socket.stop()

    def drained(self) -> bool:
        """After `stop`: whether the kernel has handed over everything and all of it is written."""
        if self.closing_since is None or self.under_way or self.copied or self.ready() is not None:
            return False
        return (time.monotonic() - self.closing_since) * 1e9 > self._retire_ns + _QUIET_NS

    def close(self) -> None:
        """Gives everything back; nothing may be under way."""
        self.socket.close()
        self._counters.close()

    def _count_card(self, now_ns: int) -> None:
        # An interface that is gone counts nothing: keep what was known.
        counted = zip(self._counters.losses(), self._card_at_start, strict=True)
        card = CardLosses(*map(max, (now - start for now, start in counted), self._card))
        if card != self._card:
            new = CardLosses(*(now - before for now, before in zip(card, self._card, strict=True)))
            self._card = card
            self._lose(Losses(**new._asdict()), self._sampled_ns, now_ns)

    def _count_discarded(self, now_ns: int, row: Row | None = None) -> None:
        if self.discards.counting and self.closing_since is None:
            received = row.packets if row is not None else self._counters.packets()
            self.count(now_ns)
            self.discards.sample(received, self._packets)

    def _lose(self, losses: Losses, since_ns: int, now_ns: int) -> None:
        losses = losses._replace(from_boot_ns=since_ns, until_boot_ns=now_ns)
        self._lost = self._lost.plus(losses)
        self.losses = self.losses.plus(losses)
