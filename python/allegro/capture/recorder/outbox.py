"""News that wait for their record in the ring, and the records that carry them."""

from __future__ import annotations

import mmap
from collections import deque
from dataclasses import dataclass

from allegro.capture.recorder.port import port_index
from allegro.capture.ring import news, record
from allegro.capture.ring.losses import NO_LOSSES, Losses
from allegro.capture.ring.news import News
from allegro.capture.ring.record import Record, Times

_MOST_WAITING = 10_000
"""News are few. If no ring takes them for long, the oldest go: without it, memory would grow."""


_MOST_IN_ONE = 64


@dataclass(frozen=True)
class Letter:
    """What one record of news is to carry: under which port, its losses, and some news."""

    port_name: str
    losses: Losses
    news: tuple[News, ...]


class Outbox:
    """What is to be told as soon as there is a ring, in the order in which it happened."""

    def __init__(self) -> None:
        self._news: deque[News] = deque(maxlen=_MOST_WAITING)
        self._losses: dict[str, Losses] = {}
        self._last_port = "port1"

    def add(self, *items: News) -> None:
        """Tells these, too."""
        self._news.extend(items)

    def lose(self, port_name: str, losses: Losses) -> None:
        """Tells what a port has lost of which no record with packets can come any more."""
        if any(losses):
            self._losses[port_name] = self._losses.get(port_name, NO_LOSSES).plus(losses)

    def waiting(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._news or self._losses)

    def since_ns(self) -> int:
        """When the oldest of it happened, by CLOCK_BOOTTIME."""
        times = (item.boot_ns for item in self._news)
        return min([*times, *(losses.from_boot_ns for losses in self._losses.values())], default=0)

    def next(self) -> Letter:
        """Takes out what goes into one record."""
        told: list[News] = []
        if self._news:
            _, count = news.pack(list(self._news)[:_MOST_IN_ONE])
            told = [self._news.popleft() for _ in range(count)]
        name = next(iter(self._losses), "")
        losses = self._losses.pop(name, NO_LOSSES)
        if not name:
            # To version 0.1.0 the record belongs to a port: let it be one that there is.
            names = [str(getattr(item, "port", "")) for item in told]
            name = next(filter(None, names), self._last_port)
        self._last_port = name
        return Letter(name, losses, tuple(told))

    def give_back(self, letter: Letter) -> None:
        """The record could not be written."""
        self._news.extendleft(reversed(letter.news))
        self.lose(letter.port_name, letter.losses)


def write_letter(
    letter: Letter, ring_id: bytes, sequence: int, run: int, wall_ns: int, times: Times
) -> tuple[memoryview, Record]:
    """The record of a letter, in memory that can be written directly."""
    block = memoryview(mmap.mmap(-1, news.LENGTH))
    payload, _ = news.pack(letter.news)
    record.write_empty_block(block, payload, wall_ns)
    made = record.seal(
        block,
        ring_id,
        sequence,
        run,
        port_index(letter.port_name),
        letter.port_name,
        letter.losses,
        times,
        record.FLAG_NEWS,
    )
    return block, made
