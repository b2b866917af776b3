"""One measuring port while it is recorded: its socket, which blocks are under way, and what it counted."""

from __future__ import annotations

import os
import time
from collections import deque

from allegro.capture.recorder.socket import RingSocket
from allegro.capture.ring import record as blocks
from allegro.capture.status import PortStatus

_QUIET_NS = 200_000_000
"""What the kernel may be late, beyond the retire time, in handing over a block."""

_RATE_SAMPLES = 5


class RecordedPort:
    """`index` is the number in the port's name; `busy` has one flag per block that is being written.

    At `emptied_boot_ns` no block was waiting to be taken; the last packet taken came in at `last_boot_ns`.
    """

    def __init__(self, name: str, ifindex: int, socket: RingSocket, retire_ms: int) -> None:
        self.name = name
        self.index = int("".join(filter(str.isdigit, name)) or 0) & 0xFFFF
        self.ifindex = ifindex
        self.socket = socket
        self.busy = bytearray(len(socket.blocks))
        self.under_way = 0
        self.complete_through_ns = 0
        self.closing_since: float | None = None
        self.emptied_boot_ns = 0
        self.last_boot_ns = 0
        self.counts = PortStatus(name=name, index=self.index)
        self._next = 0
        self._retire_ns = retire_ms * 1_000_000
        self._packets = self._drops = self._freezes = self._missed = 0
        self._untold = blocks.Losses()
        self._counters = InterfaceCounters(name)
        self._missed_at_start, self._bytes_at_start = self._counters.missed(), self._counters.bytes()
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=_RATE_SAMPLES)

    def ready(self) -> int | None:
        """The number of the next block that the kernel has handed over, None if there is none."""
        number = self._next
        if self.busy[number] or not blocks.is_ready(self.socket.blocks[number]):
            return None
        return number

    def take(self) -> None:
        """The block that `ready` told is being written from now on."""
        self.busy[self._next] = 1
        self.under_way += 1
        self.skip()

    def skip(self) -> None:
        """Goes on behind the block that `ready` told."""
        self._next = (self._next + 1) % len(self.busy)

    def finished(self, number: int) -> None:
        """A block that was taken is with the kernel again."""
        self.busy[number] = 0
        self.under_way -= 1

    def note_written(self, last_ns: int) -> None:
        """All packets up to this time are in the ring (blocks are told in their order)."""
        self.complete_through_ns = last_ns

    def note_quiet(self, now_ns: int) -> None:
        """At `now_ns` no block was waiting: what came in longer ago than the retire time is in the ring."""
        quiet_ns = now_ns - self._retire_ns - _QUIET_NS
        if not quiet_ns <= self.complete_through_ns <= now_ns:  # later than now: the clock was set back
            self.complete_through_ns = quiet_ns

    def count(self) -> None:
        """Asks the kernel what happened since the last time."""
        news = self.socket.statistics()
        self._packets += news.packets
        self._drops += news.drops
        self._freezes += news.freezes
        self._tell(blocks.Losses(news.drops, news.freezes, 0))

    def lose(self, packets: int) -> None:
        """Packets of a block that could not be written."""
        self._drops += packets
        self._tell(blocks.Losses(packets, 0, 0))

    def take_losses(self) -> blocks.Losses:
        """What was lost and stands in no record yet; it is to be put into the next one."""
        untold, self._untold = self._untold, blocks.Losses()
        return untold

    def give_back(self, losses: blocks.Losses) -> None:
        """The record with these losses could not be written: the next one has to tell them."""
        self._tell(losses)

    def sample(self) -> None:
        """Reads the interface's own counters and works out the rates (over about a second)."""
        # An interface that is gone counts nothing: keep what was known.
        missed, received = self._counters.missed(), self._counters.bytes()
        if missed > self._missed_at_start + self._missed:
            self._tell(blocks.Losses(0, 0, missed - self._missed_at_start - self._missed))
            self._missed = missed - self._missed_at_start
        byte_count = max(received - self._bytes_at_start, self.counts.bytes)
        now = time.monotonic()
        self._samples.append((now, self._packets, byte_count))
        before, packets, byte_mark = self._samples[0]
        seconds = max(now - before, 1e-3)
        self.counts = PortStatus(
            name=self.name,
            index=self.index,
            link_up=self._counters.link_up(),
            packets=self._packets,
            bytes=byte_count,
            drops=self._drops,
            nic_missed=self._missed,
            freezes=self._freezes,
            packets_per_s=round((self._packets - packets) / seconds, 1),
            bytes_per_s=round((byte_count - byte_mark) / seconds, 1),
        )

    def stop(self) -> None:
        """Receives nothing more; what was received is still to be written."""
        if self.closing_since is None:
            self.closing_since = time.monotonic()
            self.socket.stop()

    def drained(self) -> bool:
        """After `stop`: whether the kernel has handed over everything and all of it is written."""
        if self.closing_since is None or self.under_way or self.ready() is not None:
            return False
        return (time.monotonic() - self.closing_since) * 1e9 > self._retire_ns + _QUIET_NS

    def close(self) -> None:
        """Gives everything back; nothing may be under way."""
        self.socket.close()
        self._counters.close()

    def _tell(self, losses: blocks.Losses) -> None:
        self._untold = blocks.Losses(*map(sum, zip(self._untold, losses, strict=True)))


class InterfaceCounters:
    """What the kernel counts for an interface (Documentation/ABI/testing/sysfs-class-net*), files kept open.

    What cannot be read, as the interface is gone, down or lacks it, is 0 or False.
    """

    def __init__(self, name: str) -> None:
        self._missed = _open(name, "statistics/rx_missed_errors")
        self._bytes = _open(name, "statistics/rx_bytes")
        self._carrier = _open(name, "carrier")

    def missed(self) -> int:
        """Packets that the network card had no room for."""
        return int(_read(self._missed) or 0)

    def bytes(self) -> int:
        """Bytes received."""
        return int(_read(self._bytes) or 0)

    def link_up(self) -> bool:
        """Whether the link has a carrier."""
        return _read(self._carrier) == b"1\n"

    def close(self) -> None:
        """Closes the files."""
        for descriptor in (self._missed, self._bytes, self._carrier):
            if descriptor is not None:
                os.close(descriptor)
        self._missed = self._bytes = self._carrier = None


def _open(name: str, attribute: str) -> int | None:
    try:
        return os.open(f"/sys/class/net/{name}/{attribute}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _read(descriptor: int | None) -> bytes:
    if descriptor is None:
        return b""
    try:
        return os.pread(descriptor, 64, 0)
    except OSError:
        return b""
