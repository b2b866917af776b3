"""One file of an extraction: the packets that its filter lets through, merged by time, and words on them.

An extraction has one such file or many; each has its own packets, counts, notes and failure.
"""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType

from allegro import words
from allegro.capture import _packets
from allegro.capture.extraction import classic, coverage, pcapng
from allegro.capture.extraction.contract import LATEST_NS, PortResult, Request, Result
from allegro.capture.extraction.output import Output, Writer
from allegro.capture.extraction.reading import Group
from allegro.capture.extraction.sifting import Amounts
from allegro.errors import Conflict
from allegro.filters import program
from allegro.version import own_version

HEADER_SIZE = 16384
"""Bytes of every file's section header, reserved at the beginning and written at the end."""

COMMENT_LIMIT = HEADER_SIZE - 1024

_OF_A_PORT = 192
"""Bytes that the description of a port and its statistics take at most."""

Release = Callable[[Group], None]
"""Called when packets of a group are not needed any more."""


class Source:
    """Packets of a port that are being merged; their stamps are `shift_ns` ahead of the time line."""

    __slots__ = ("group", "index", "interface", "position", "shift_ns")

    def __init__(self, group: Group, index: bytes, interface: int, shift_ns: int) -> None:
        self.group = group
        self.index = index
        self.interface = interface
        self.shift_ns = shift_ns
        self.position = 0

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left of it."""
        return self.position * _packets.ENTRY_SIZE >= len(self.index)

    @property
    def moment_ns(self) -> int:
        """Of its next packet, on the time line."""
        at = self.position * _packets.ENTRY_SIZE
        return int.from_bytes(self.index[at : at + 8], sys.byteorder) - self.shift_ns


class PacketFile:
    """The file of a request, which appears under its name with `finish`; leaving before removes it.

    `writer` writes it. Raises AllegroError when it cannot be written, which is then over: all it needs is
    `give_up`.
    """

    def __init__(self, request: Request, writer: Writer) -> None:
        self._request = request
        self._window = coverage.Window(request.start_ns, request.end_ns)
        self._open: list[Source] = []
        self._numbers: dict[str, int] = {}  # of interfaces
        self._packets: list[int] = []
        self._large: dict[str, int] = {}
        self._unfinished: dict[str, int] = {}
        self._shortened: dict[str, int] = {}
        self._first_ns: int | None = None
        self._last_ns: int | None = None
        self._ends_ns: int | None = None
        self.packets = 0
        self.bytes = 0
        """What is in the file so far."""
        self._output = Output(request.output, writer)

    def __enter__(self) -> PacketFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.close()

    @property
    def filtered(self) -> bool:
        """Whether it wants only packets that its `program` lets through."""
        return bool(self._request.program)

    @property
    def limited(self) -> bool:
        """Whether it takes no more packets, as it would be larger than its limit."""
        return self._ends_ns is not None

    def begin(self, ports: list[str]) -> None:
        """Describes the ports; others are described when they come."""
        shape = self._request.shape
        self._output.write(classic.file_header(shape.packet_length) if shape.classic else bytes(HEADER_SIZE))
        for port in ports:
            self._interface(port)

    def program(self, port: str) -> bytes:
        """The filter for packets of one port."""
        return program.for_interface(self._request.program, port)

    def add(self, group: Group, port: str, index: bytes, shift_ns: int) -> None:
        """Packets of a group, to be merged."""
        if self.limited:
            return
        interface = self._interface(port)
        if index:
            group.users += 1
            self._open.append(Source(group, index, interface, shift_ns))

    def merge_until(self, end_ns: int, release: Release) -> None:
        """Writes the packets of the open blocks up to a moment that no later block can fall below."""
        if self._output.is_gone:
            raise Conflict("This file was removed while it was written.", place=str(self._request.output))
        window, shape = self._window, self._request.shape
        end_ns = min(end_ns, window.end_ns)
        done = end_ns < window.start_ns or not self._open
        while not done:
            sources = [
                (one.group.buffer, one.index, one.position, one.interface, one.shift_ns) for one in self._open
            ]
            with self._output.room(self._left()) as room:
                used, done, first_ns, last_ns, progress = _packets.emit(
                    sources,
                    window.start_ns,
                    end_ns,
                    room,
                    self._output.used,
                    shape.packet_length,
                    shape.classic,
                )
                full = not done and len(room) < self._output.largest_room
            for source, (position, packets, *counts) in zip(self._open, progress, strict=True):
                source.position = position
                if packets:
                    self._account(source.interface, packets, *counts)
            if used > self._output.used:
                self._first_ns = first_ns if self._first_ns is None else self._first_ns
                self._last_ns = last_ns
            if full:
                self._ends_ns = min(source.moment_ns for source in self._open if not source.exhausted)
                self._let_go(release)
                done = True
            self._output.filled(used, full=not done)
        still_open = []
        for source in self._open:
            if source.exhausted:
                release(source.group)
            else:
                still_open.append(source)
        self._open = still_open

    def _account(
        self,
        interface: int,
        packets: int,
        count: int,
        large: int,
        unfinished: int,
        completed: int,
        shortened: int,
    ) -> None:
        """Counts packets of an interface that were written."""
        self._packets[interface] += packets
        self.packets += packets
        self.bytes += count
        if not (shortened or large or unfinished > completed):
            return
        name = list(self._numbers)[interface]
        if shortened:
            self._shortened[name] = self._shortened.get(name, 0) + shortened
        if large or unfinished > completed:
            self._large[name] = self._large.get(name, 0) + large
            self._unfinished[name] = self._unfinished.get(name, 0) + unfinished - completed

    def give_up(self, release: Release) -> None:
        """There will be no such file; its blocks are the others'."""
        self._let_go(release)
        self._output.close()

    def _let_go(self, release: Release) -> None:
        for source in self._open:
            release(source.group)
        self._open = []

    def _left(self) -> int | None:
        """Bytes that packets may take before the limit; None: there is none."""
        shape = self._request.shape
        if not shape.size_limit:
            return None
        behind = 0 if shape.classic else _OF_A_PORT * (len(self._numbers) + 1)
        return max(shape.size_limit - behind - self._output.size, 0)

    def finish(
        self,
        findings: coverage.Findings,
        ring: coverage.Ring,
        now_ns: int,
        amounts: Amounts,
        seen: Mapping[str, int],
    ) -> Result:
        """Writes what stands behind the packets and before them, and gives the file its name. `seen` tells
        how many packets of each port are in the window, for files with a filter."""
        request, window = self._request, self._window
        findings = dataclasses.replace(
            findings, large=self._large, unfinished=self._unfinished, shortened=self._shortened
        )
        rejected = self._rejected(seen)
        counts = [
            PortResult(
                name,
                packets,
                findings.drops(name),
                findings.nic_missed(name),
                rejected[name],
                findings.slicing.discarded(name),
            )
            for name, packets in zip(self._numbers, self._packets, strict=True)
        ]
        for interface, count in enumerate(() if request.shape.classic else counts):
            statistics = pcapng.Statistics(
                window.start_ns,
                window.end_ns,
                count.packets,
                count.drops,
                count.nic_missed,
                count.rejected + count.discarded if self.filtered or count.discarded else None,
                whole=not self.limited,
            )
            self._output.write(pcapng.interface_statistics(interface, statistics))
        drops = sum(count.drops + count.nic_missed for count in counts)
        # A file that its limit ended is not empty for want of packets, whatever is in it.
        held = self.packets or self.limited
        found = coverage.notes(window, ring, findings, held, now_ns, sum(rejected.values()))
        notes = [*request.notes, *self._limits(), *found]
        size = self._output.size
        fields = [
            *_readable(request.comment),
            ("window", f"{words.utc(window.start_ns)} to {words.utc(window.end_ns)}"),
            ("packets", str(self.packets)),
            ("packets lost in the window", str(drops)),
        ]
        if self.filtered:
            if not self.limited:
                others = str(sum(rejected.values()))
                fields.append(("packets of the window that do not match the filter", others))
            read = f"{words.size(amounts.read)} of {words.size(amounts.reached)}"
            fields.append(("read of the ring", read))
            fields.append(("filter", request.filter))
        system = platform.uname()
        comment = pcapng.comment_text(fields, notes, COMMENT_LIMIT)
        section = pcapng.Section(
            comment=comment,
            hardware=system.machine,
            os=f"{system.system} {system.release}"[:200],
            application=f"Allegro {own_version()}",
        )
        header = b""
        if not request.shape.classic:
            header = pcapng.section_header(section, section_length=size - HEADER_SIZE, size=HEADER_SIZE)
        self._output.publish(header)
        return Result(
            self.packets,
            self.bytes,
            size,
            self._first_ns,
            self._last_ns,
            drops,
            notes,
            counts,
            amounts.read,
            amounts.reached,
            self.limited,
            comment if request.shape.classic else "",
        )

    def _rejected(self, seen: Mapping[str, int]) -> dict[str, int]:
        """Of each port: packets that the filter did not let through. Describes ports that have no others.
        Of a file that ends at its limit it is not known."""
        if not self.filtered or self.limited:
            return dict.fromkeys(self._numbers, 0)
        for port in seen:
            self._interface(port)
        written = zip(self._numbers, self._packets, strict=True)
        return {name: seen.get(name, 0) - packets for name, packets in written}

    def _limits(self) -> Iterator[str]:
        """What the request has kept out of the file."""
        shape = self._request.shape
        if shape.packet_length:
            kept = "the first byte is" if shape.packet_length == 1 else f"{shape.packet_length} bytes are"
            yield f"Of each packet no more than {kept} kept, as was asked for."
        if self._ends_ns is not None:
            yield (
                f"This file ends at its size limit of {words.as_set(shape.size_limit)}: what came in from"
                f" {words.utc(self._ends_ns)} on is not in it."
            )

    def _interface(self, port: str) -> int:
        """Number of a port in the file; describes it there first if it is new."""
        number = self._numbers.get(port)
        if number is None:
            if not self._request.shape.classic:
                self._output.write(pcapng.interface_description(port))
            number = self._numbers[port] = len(self._numbers)
            self._packets.append(0)
        return number


def _readable(comment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The texts of the request; a time in nanoseconds ("press_ns") is written as people write it."""
    for key, text in comment.items():
        if key.endswith("_ns") and text.isascii() and text.isdigit() and int(text) <= LATEST_NS:
            yield key.removesuffix("_ns"), words.utc(int(text))
        else:
            yield key, text
