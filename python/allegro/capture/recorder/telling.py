"""What the recorder says of itself, put together from its parts."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from allegro.capture import status
from allegro.capture.recent import RecentMaximum
from allegro.capture.recorder.clocks import Clock
from allegro.capture.recorder.recorded_ports import Ports
from allegro.capture.recorder.ring_keeper import RingKeeper
from allegro.capture.status import RecorderStatus
from allegro.system.boottime import Reading


@dataclass
class Load:
    """How much the recorder needs its disk, since the status before: the largest part (0..1) of a port's
    memory that was in use, and the longest time that one write took. What has waited longest to be written
    has done so for `waits_s` seconds now."""

    fullest: float = 0.0
    slowest_write_s: float = 0.0
    waits_s: float = 0.0
    recent_slowest_write: RecentMaximum = field(default_factory=RecentMaximum)

    def told(self) -> None:
        """They stand in a status; what follows is for the next one."""
        self.fullest = self.slowest_write_s = 0.0


def status_of(
    now: Reading,
    run_ns: int,
    clock: Clock,
    complete: Reading,
    keeper: RingKeeper,
    ports: Ports,
    message: str,
    write_errors: int,
    ring_write_errors: int,
    load: Load,
) -> RecorderStatus:
    """The status of this moment; `complete` is up to when the ring is complete, by both clocks."""
    ring = keeper.writer.status() if keeper.writer is not None else None
    opened = tuple(port.counts for port in sorted(ports.open.values(), key=lambda port: port.index))
    everything = (*opened, *(port.counts for port in ports.closing))
    state = status.RECORDING if ring is not None else status.NO_RING
    if ring is None and keeper.expected():
        state = status.STARTING
    oldest = ring.oldest_ns if ring is not None else None
    seconds = time.monotonic()
    load.recent_slowest_write.note(load.slowest_write_s, seconds)
    slowest_sync_s = keeper.writer.recent_slowest_sync.value(seconds) if keeper.writer is not None else 0.0
    return RecorderStatus(
        time_ns=now.wall_ns,
        pid=os.getpid(),
        run_id=run_ns,
        state=state,
        message=message,
        complete_through_ns=complete.wall_ns,
        boot_id=clock.boot_id.hex(),
        time_boot_ns=now.boot_ns,
        complete_through_boot_ns=complete.boot_ns,
        ring=ring,
        ports=opened,
        packets=ports.gone.packets + sum(port.packets for port in everything),
        bytes=ports.gone.bytes + sum(port.bytes for port in everything),
        packets_per_s=round(sum(port.packets_per_s for port in opened), 1),
        bytes_per_s=round(sum(port.bytes_per_s for port in opened), 1),
        drops=ports.gone.drops + sum(port.drops for port in everything),
        nic_missed=ports.gone.nic_missed + sum(port.nic_missed for port in everything),
        discarded=ports.gone.discarded + sum(port.discarded for port in everything),
        rules=ports.rules.rules.text,
        write_errors=write_errors,
        reach_back_s=round(max(now.wall_ns - oldest, 0) / 1e9, 3) if oldest is not None else 0.0,
        fullest=round(load.fullest, 3),
        slowest_write_s=round(load.slowest_write_s, 3),
        recent_slowest_write_s=round(load.recent_slowest_write.value(seconds), 3),
        recent_slowest_sync_s=round(slowest_sync_s, 3),
        write_waits_s=round(load.waits_s, 3),
        clock_steps=clock.steps_seen,
        ring_directory=str(keeper.directory or ""),
        in_memory_since_ns=keeper.in_memory_since_ns,
        memory_reason=keeper.memory_reason(),
        memory_beside=str(keeper.kept_beside() or ""),
        ring_opening=str(keeper.opening_on_disk() or ""),
        ring_write_errors=ring_write_errors,
    )
