"""A recorder whose clocks, losses and starts are told what to be; it leaves a ring as the real one does."""

from __future__ import annotations

from dataclasses import dataclass, field

from allegro.capture.extraction.contract import Request
from allegro.capture.ring import segments
from allegro.capture.ring.losses import NO_LOSSES, Losses
from allegro.capture.ring.news import ClockStepped, News
from allegro.capture.ring.record import Times
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RUN, Ring

MS = NS // 1000


@dataclass
class Device:
    """A recorder with two ports: every 10 ms a numbered packet on one of them, in records of 100 ms."""

    ring: Ring
    port: int = 1
    boot_id: bytes = b""
    boot_ns: int = 0
    wall_ns: int = 0
    number: int = 0
    pause_ms: int = 10
    runs: list[segments.Run] = field(default_factory=list)
    sent: list[tuple[int, str]] = field(default_factory=list)
    """Of each packet: when (by a clock that also runs while the device is off), what became of it."""
    true_ns: int = 0
    losses: Losses = NO_LOSSES

    def start(self, wall_ns: int) -> None:
        """Power on: the clock shows `wall_ns`, and the recorder begins at once."""
        self.boot_id = bytes([len(self.runs) + 1]) * 16
        self.boot_ns, self.wall_ns = 0, wall_ns
        self.begin_run()

    def begin_run(self) -> None:
        """The recorder begins, again or for the first time."""
        run = segments.Run(
            RUN + len(self.runs),
            self.wall_ns,
            self.wall_ns,
            (),
            self.boot_id.hex(),
            self.boot_ns,
            self.boot_ns,
        )
        self.runs.append(run)
        self.ring.run = run.run

    def record(self, seconds: float) -> None:
        """Packets come in and get into the ring."""
        for _ in range(round(seconds * 10)):
            first = self.boot_ns
            frames = [self.frame() for _ in range(100 // self.pause_ms)]
            last = self.boot_ns - self.pause_ms * MS
            times = Times(self.boot_id, first, last, self.wall_ns - self.boot_ns)
            losses, self.losses = self.losses, NO_LOSSES
            self.ring.add(self.port, frames, times=times, losses=losses)
            if losses is NO_LOSSES:
                self.port = 3 - self.port
        self.said()

    def miss(self, seconds: float, kind: str) -> None:
        """Packets come in and get lost: `kind` is a field of Losses, or else of what nobody counts."""
        began_ns, count = self.boot_ns, round(seconds * 1000) // self.pause_ms
        for _ in range(count):
            self.frame(kind)
        if kind in Losses._fields:
            lost = Losses(**{kind: count, "from_boot_ns": began_ns, "until_boot_ns": self.boot_ns})
            self.losses = self.losses.plus(lost)

    def idle(self, seconds: float) -> None:
        """Nothing comes in; the recorder lives."""
        self.pass_time(round(seconds * NS))
        self.said()

    def tell(self, *news: News) -> None:
        """A record of news, with the losses that no packet has told."""
        times = Times(self.boot_id, self.boot_ns, self.boot_ns, self.wall_ns - self.boot_ns)
        losses, self.losses = self.losses, NO_LOSSES
        self.ring.tell(*news, port=self.port, times=times, wall_ns=self.wall_ns, losses=losses)
        self.said()

    def frame(self, became: str = "kept") -> Frame:
        """The next packet; time passes until the one after."""
        frame = Frame(self.wall_ns, b"\xff" * 12 + b"\x88\xb5" + self.number.to_bytes(8) + bytes(40))
        self.sent.append((self.true_ns, became))
        self.number += 1
        self.pass_time(self.pause_ms * MS)
        return frame

    def pass_time(self, ns: int) -> None:
        """Time passes."""
        self.true_ns += ns
        self.boot_ns += ns
        self.wall_ns += ns

    def step(self, size_ns: int, *, told: bool = True) -> None:
        self.wall_ns += size_ns
        if told:
            self.tell(ClockStepped(self.boot_ns, self.wall_ns, size_ns, 0))

    def said(self) -> None:
        run = self.runs[-1]._replace(alive_ns=self.wall_ns, alive_boot_ns=self.boot_ns)
        self.runs[-1] = run
        segments.write_runs(self.ring.directory, self.runs, sync=False)

    def press(self, before_s: float, *, after_s: float = 0) -> Request:
        return Request(
            self.ring.directory,
            self.wall_ns - int(before_s * NS),
            self.wall_ns + int(after_s * NS),
            self.ring.directory.parent / "out.pcapng",
            boot_id=self.boot_id.hex(),
            boot_offset_ns=self.wall_ns - self.boot_ns,
        )
