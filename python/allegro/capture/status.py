"""What the recorder says of itself: status.json, written four times a second, read by the supervisor."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from allegro.atomic import write_atomically

STARTING = "starting"
RECORDING = "recording"
NO_RING = "no-ring"


@dataclass(frozen=True)
class PortStatus:
    """One measuring port; counts since the recorder opened it.

    `packets` came in (with those dropped), `bytes` as the interface counts them, `drops` were lost between
    kernel and ring: of them the disk refused `unwritten`, for `unrecorded` no ring was open, for the others
    no memory was free. `nic_missed` were lost by the network card or its driver: of them, as the driver names
    them, `nic_fifo` and `nic_over`. `nic_dropped` may be lost or recorded, see `ring.losses`.
    About `discarded` more came in and were discarded by a rule. `refused_crc` and `refused_length` are
    damaged frames that the card did not take. `freezes` is how often
    the kernel found no free block. Within the last minute, `recent_fullest` was the largest part (0..1)
    of the port's memory in use.
    """

    name: str = ""
    index: int = 0
    link_up: bool = False
    packets: int = 0
    bytes: int = 0
    drops: int = 0
    nic_missed: int = 0
    freezes: int = 0
    packets_per_s: float = 0.0
    bytes_per_s: float = 0.0
    unwritten: int = 0
    unrecorded: int = 0
    nic_fifo: int = 0
    nic_over: int = 0
    nic_dropped: int = 0
    refused_crc: int = 0
    refused_length: int = 0
    discarded: int = 0
    recent_fullest: float = 0.0


@dataclass(frozen=True)
class RingStatus:
    """The ring: sizes in bytes, times in ns since 1970 (None: no packet yet).

    `size` is what is reserved on disk, `target` what was asked for; `used` is taken by records, which hold
    `packets` in `bytes` (with what the kernel adds to each); `sequence` is the next record's number.
    """

    directory: str = ""
    size: int = 0
    target: int = 0
    segment_size: int = 0
    used: int = 0
    oldest_ns: int | None = None
    newest_ns: int | None = None
    records: int = 0
    packets: int = 0
    bytes: int = 0
    sequence: int = 0


@dataclass(frozen=True)
class RecorderStatus:
    """`state` is "starting", "recording" or "no-ring"; `message` says in plain words what is wrong.

    Every packet received before `complete_through_ns` is in the ring and can be read, or stands there as
    lost; `complete_through_boot_ns` and `time_boot_ns` are the same and the time of the status by
    CLOCK_BOOTTIME of the start of the kernel `boot_id` (32 hex digits), which nobody sets. `drops`,
    `nic_missed`, `discarded` and `write_errors` count since the recorder's start; `rules` says in words how
    much of each packet is to be kept (empty: all of it). `reach_back_s` is how far back the ring
    reaches now. Since the status before, `fullest` is the largest part (0..1) of a port's memory that was in
    use, `slowest_write_s` the longest time that one write took. Within the last minute, a write took
    `recent_slowest_write_s` at most, making what was written safe on the disk `recent_slowest_sync_s`; what
    has waited longest to be written has done so for `write_waits_s` (0: nothing waits).
    `clock_steps` is how often the wall clock was set since the recorder's start. `ring_directory` is where
    the ring lies that is in use, or else the one that is being opened: readers take it from here. A ring in
    memory has been in use since `in_memory_since_ns` (0: the one in use is none), because of `memory_reason`;
    one that was in use before that on the disk may lie in `memory_beside` (empty: none does).
    `ring_opening` is the directory on a disk in which a ring is just being opened, maybe while another one is
    in use (empty: none is). Of `write_errors`, `ring_write_errors` are those of the disk on which the ring
    lies, since it came there; of a ring in memory, of the disk whose place it takes.
    """

    time_ns: int = 0
    pid: int = 0
    run_id: int = 0
    state: str = STARTING
    message: str = ""
    complete_through_ns: int = 0
    boot_id: str = ""
    time_boot_ns: int = 0
    complete_through_boot_ns: int = 0
    ring: RingStatus | None = None
    ports: tuple[PortStatus, ...] = field(default_factory=tuple)
    packets: int = 0
    bytes: int = 0
    packets_per_s: float = 0.0
    bytes_per_s: float = 0.0
    drops: int = 0
    nic_missed: int = 0
    discarded: int = 0
    rules: str = ""
    write_errors: int = 0
    reach_back_s: float = 0.0
    fullest: float = 0.0
    slowest_write_s: float = 0.0
    recent_slowest_write_s: float = 0.0
    recent_slowest_sync_s: float = 0.0
    write_waits_s: float = 0.0
    clock_steps: int = 0
    ring_directory: str = ""
    in_memory_since_ns: int = 0
    memory_reason: str = ""
    memory_beside: str = ""
    ring_opening: str = ""
    ring_write_errors: int = 0


def to_json(status: RecorderStatus) -> bytes:
    """The status as JSON."""
    return json.dumps(status, default=vars).encode() + b"\n"


def from_json(data: bytes) -> RecorderStatus:
    """Reads the status; unknown keys and values of a wrong type are left out, so that versions may differ.

    Raises ValueError if it is not a JSON object at all.
    """
    value = json.loads(data)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return _build(RecorderStatus, value)


def ring_in_force(status_file: Path, usual: Path) -> Path:
    """The directory of the ring that the recorder uses, by its last word, however long ago that was; `usual`
    if it has not said any."""
    try:
        said = from_json(status_file.read_bytes()).ring_directory
    except (OSError, ValueError):
        said = ""
    return Path(said) if said else usual


def memory_beside(status_file: Path | None, ring: Path) -> Path | None:
    """Where a ring in memory may lie with what came in while the one in the directory `ring`, which is in use
    again, could not be used; None if the recorder knows of none."""
    try:
        said = from_json(status_file.read_bytes()) if status_file is not None else RecorderStatus()
    except (OSError, ValueError):
        return None
    return Path(said.memory_beside) if said.memory_beside and said.ring_directory == str(ring) else None


def write(status: RecorderStatus, path: Path) -> None:
    """Replaces the status file; readers see the old or the new one."""
    write_atomically(path, to_json(status), mode=0o644, sync=False)


T = TypeVar("T")


_KINDS: dict[type, dict[str, Any]] = {
    kind: typing.get_type_hints(kind) for kind in (PortStatus, RingStatus, RecorderStatus)
}
"""What each field is. Worked out once: that takes a hundred times as long as all the rest of a reading."""


def _build(kind: type[T], value: dict[str, Any]) -> T:
    good = {}
    for name, hint in _KINDS[kind].items():
        if name in value:
            converted = _convert(hint, value[name])
            if converted is not _WRONG:
                good[name] = converted
    return kind(**good)


_WRONG = object()


def _convert(hint: Any, value: Any) -> Any:
    if type(value) is hint:
        return value
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = next(item for item in typing.get_args(hint) if item is not type(None))
    if typing.get_origin(hint) is tuple:
        items = value if isinstance(value, list) else []
        return tuple(_build(typing.get_args(hint)[0], item) for item in items if isinstance(item, dict))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value) if isinstance(value, dict) else _WRONG
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    right = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    return value if right else _WRONG
