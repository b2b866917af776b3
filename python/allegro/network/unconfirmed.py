"""A change of the network that is taken back unless somebody confirms it: what to go back to, and when.

It lies in a file on the data partition, written before the change is. After a restart of the device it is
taken back at once: whoever could have confirmed it may have pulled the plug because nothing answered.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from allegro.atomic import sync_directory, write_atomically
from allegro.settings.network import Management

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
HARMLESS = {"host_name", "confirm_s"}
"""Fields of the management section that nobody is locked out by."""


@dataclass(frozen=True)
class Unconfirmed:
    """`management` is the section as it was, `ports` the names of ports (key → name) as they were.

    `deadline_s` is a time of CLOCK_BOOTTIME in seconds, of the start of the device named by `boot_id`.
    """

    management: Mapping[str, Any]
    ports: Mapping[str, str]
    boot_id: str
    deadline_s: float

    def remaining_s(self, now_s: float, boot_id: str) -> float:
        """Seconds left to confirm it; 0 when it is over, and after a restart."""
        return max(self.deadline_s - now_s, 0.0) if boot_id == self.boot_id else 0.0


def needs_confirmation(old: Management, new: Management) -> bool:
    """Whether somebody could be locked out by this change."""
    return old.model_dump(exclude=HARMLESS) != new.model_dump(exclude=HARMLESS)


def boot_id(path: Path = BOOT_ID) -> str:
    """The id of this start of the device (random(4))."""
    return path.read_text(encoding="ascii").strip()


def load(path: Path) -> Unconfirmed | None:
    """The change that waits, None if there is none. A file that makes no sense is none. Raises OSError."""
    try:
        read = json.loads(path.read_bytes())
        found = Unconfirmed(**read)
        Management.model_validate(found.management)
        return Unconfirmed(found.management, dict(found.ports), str(found.boot_id), float(found.deadline_s))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        return None


def save(change: Unconfirmed, path: Path) -> None:
    """Keeps it over a power cut. Raises OSError."""
    write_atomically(path, json.dumps(asdict(change), indent=2).encode() + b"\n")


def forget(path: Path) -> None:
    """It is confirmed, or taken back. Raises OSError."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)
