"""What the recorder is told: recorder.json, written by the supervisor, read at start and on SIGHUP."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allegro.atomic import write_atomically
from allegro.capture import port_rules
from allegro.capture.port_rules import NO_RULES, PortRules
from allegro.capture.ring import segments
from allegro.errors import InvalidInput

_MEMORY_STEPS = (4, 1024)


@dataclass(frozen=True)
class RecorderConfig:
    """Sizes are in bytes. Every network interface whose whole name matches `port_pattern` is recorded.

    `block_size` (a power of two, 64 KiB to 4 MiB) and `blocks_per_port` (4 to 1024; 0: by the port's speed
    and the machine's memory) are the memory between kernel and disk; `retire_ms` (1 to 1000) is how long the
    kernel may keep a block that is not full. `rules` say how much of each packet is kept.
    While no ring can be had in `ring_directory`, one of `memory_size` bytes lies in `memory_directory`, which
    is in memory (None: there is none then).
    """

    ring_directory: Path
    ring_size: int
    status_file: Path
    port_pattern: str = "port[0-9]+"
    block_size: int = segments.MIB
    blocks_per_port: int = 0
    retire_ms: int = 100
    rules: PortRules = NO_RULES
    memory_directory: Path | None = None
    memory_size: int = 0

    def __post_init__(self) -> None:
        """Raises InvalidInput if a value is out of range."""
        try:
            re.compile(self.port_pattern)
        except re.error as error:
            raise InvalidInput(f"not a regular expression: {error}", place="port_pattern") from None
        # Too small for a ring is told by the writer: the recorder then runs without one and says why.
        _check(self.ring_size >= 0, "ring_size", "must not be negative")
        power_of_two = self.block_size & (self.block_size - 1) == 0
        _check(
            power_of_two and 1 << 16 <= self.block_size <= 1 << 22,
            "block_size",
            "must be a power of two, 64 KiB to 4 MiB",
        )
        _check(
            self.blocks_per_port == 0 or _MEMORY_STEPS[0] <= self.blocks_per_port <= _MEMORY_STEPS[1],
            "blocks_per_port",
            "must be 4 to 1024, or 0",
        )
        _check(self.memory_size >= 0, "memory_size", "must not be negative")
        _check(1 <= self.retire_ms <= 1000, "retire_ms", "must be 1 to 1000")


def load(path: Path) -> RecorderConfig:
    """Reads recorder.json. Unknown keys are ignored: an older recorder understands a newer supervisor.

    Raises InvalidInput if the file is missing, not JSON, or has a wrong value.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", place=str(path)) from None
    except ValueError as error:
        raise InvalidInput(f"is not JSON: {error}", place=str(path)) from None
    if not isinstance(value, dict):
        raise InvalidInput("must hold one JSON object", place=str(path))
    return RecorderConfig(
        **{
            field.name: _convert(field, value)
            for field in dataclasses.fields(RecorderConfig)
            if _given(field, value)
        }
    )


def dump(config: RecorderConfig, path: Path) -> None:
    """Writes recorder.json; readers see the old or the new content."""
    value = {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    write_atomically(path, json.dumps(value, indent=2).encode() + b"\n", mode=0o644, sync=False)


def _plain(item: Any) -> Any:
    if isinstance(item, PortRules):
        return port_rules.to_json(item)
    return str(item) if isinstance(item, Path) else item


def _given(field: dataclasses.Field[Any], value: dict[str, Any]) -> bool:
    if field.name in value:
        return True
    _check(field.default is not dataclasses.MISSING, field.name, "is missing")
    return False


def _convert(field: dataclasses.Field[Any], value: dict[str, Any]) -> Any:
    item = value[field.name]
    if field.type == "PortRules":
        return port_rules.from_json(item)
    if field.type == "int":
        _check(isinstance(item, int) and not isinstance(item, bool), field.name, "must be a whole number")
        return item
    if field.type == "Path | None" and item is None:
        return None
    _check(isinstance(item, str) and item != "", field.name, "must be a text")
    return Path(item) if field.type in ("Path", "Path | None") else item


def _check(condition: bool, place: str, message: str) -> None:
    if not condition:
        raise InvalidInput(message, place=place)
