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
from allegro.settings.model import Settings
from allegro.settings.network import Management
from allegro.settings.wifi import Wifi

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SECTIONS = ("management", "wifi")
"""Sections of the settings that the device is reached by."""
HARMLESS = {"host_name", "confirm_s"}
"""Fields of the management section that nobody is locked out by."""


@dataclass(frozen=True)
class Unconfirmed:
    """`sections` are parts of the settings as they were (name → values); `ports` the names of ports (key →
    name) as they were.

    `deadline_s` is a time of CLOCK_BOOTTIME in seconds, of the start of the device named by `boot_id`.
    """

    sections: Mapping[str, Any]
    ports: Mapping[str, str]
    boot_id: str
    deadline_s: float

    def remaining_s(self, now_s: float, boot_id: str) -> float:
        """Seconds left to confirm it; 0 when it is over, and after a restart."""
        return max(self.deadline_s - now_s, 0.0) if boot_id == self.boot_id else 0.0

    def put_into(self, settings: Settings) -> Settings:
        """These settings with the sections as they were. Raises ValueError."""
        old = Settings.model_validate(dict(self.sections))
        return settings.model_copy(update={name: getattr(old, name) for name in self.sections})


def needs_confirmation(old: Settings, new: Settings, *, wifi_in_use: bool) -> bool:
    """Whether somebody could be locked out by this change. `wifi_in_use`: there is an adapter."""
    if _addresses(old.management) != _addresses(new.management):
        return True
    return wifi_in_use and old.wifi.mode != "off" and _network(old.wifi) != _network(new.wifi)


def _addresses(management: Management) -> Mapping[str, Any]:
    return management.model_dump(exclude=HARMLESS)


def _network(wifi: Wifi) -> Mapping[str, Any]:
    """What counts of the WiFi settings with this mode."""
    used = {"access-point": {"access_point"}, "client": {"client"}, "off": set[str]()}[wifi.mode]
    return wifi.model_dump(include={"mode", "country", *used})


def boot_id(path: Path = BOOT_ID) -> str:
    """The id of this start of the device (random(4))."""
    return path.read_text(encoding="ascii").strip()


def load(path: Path) -> Unconfirmed | None:
    """The change that waits, None if there is none. A file that makes no sense is none. Raises OSError."""
    try:
        read = json.loads(path.read_bytes())
        found = Unconfirmed(**read)
        found.put_into(Settings())
        return Unconfirmed(
            dict(found.sections), dict(found.ports), str(found.boot_id), float(found.deadline_s)
        )
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError):
        return None


def save(change: Unconfirmed, path: Path) -> None:
    """Keeps it over a power cut; only root can read it, because there are passwords in it. Raises OSError."""
    write_atomically(path, json.dumps(asdict(change), indent=2).encode() + b"\n")


def forget(path: Path) -> None:
    """It is confirmed, or taken back. Raises OSError."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)
