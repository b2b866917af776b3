"""A change of the network that is taken back unless somebody confirms it: what to go back to, and when.

It lies in a file on the data partition, written before the change is. After a restart of the device it is
taken back at once: whoever could have confirmed it may have pulled the plug because nothing answered.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from allegro.keeping import KeptFile, Value
from allegro.settings.lenient import understood
from allegro.settings.model import Settings
from allegro.settings.network import Management
from allegro.settings.wifi import FIRST_PASSWORD, Wifi

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SECTIONS = ("management", "wifi", "links")
"""Sections of the settings that the device is reached by, or others by way of it."""
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
        """These settings with the sections as they were."""
        old = understood(dict(self.sections)).settings
        return settings.model_copy(update={name: getattr(old, name) for name in self.sections})


def needs_confirmation(old: Settings, new: Settings, *, wifi_in_use: bool) -> bool:
    """Whether somebody could be locked out by this change, or others cut off by a link that ends.

    `wifi_in_use`: there is an adapter.

    The password of a new device holds until somebody has joined with its successor
    (`allegro.network.wifi_handover`): to change that alone locks nobody out.
    """
    if _addresses(old.management) != _addresses(new.management) or old.links.cuts(new.links):
        return True
    before, point = old.wifi, old.wifi.access_point
    if point.password == FIRST_PASSWORD:
        update = {"password": new.wifi.access_point.password}
        before = before.model_copy(update={"access_point": point.model_copy(update=update)})
    return wifi_in_use and before.mode != "off" and _network(before) != _network(new.wifi)


def _addresses(management: Management) -> Mapping[str, Any]:
    return management.model_dump(exclude=HARMLESS)


def _network(wifi: Wifi) -> Mapping[str, Any]:
    """What counts of the WiFi settings with this mode."""
    used = {"access-point": {"access_point"}, "client": {"client"}, "off": set[str]()}[wifi.mode]
    return wifi.model_dump(include={"mode", "country", *used})


def boot_id(path: Path = BOOT_ID) -> str:
    """The id of this start of the device (random(4))."""
    return path.read_text(encoding="ascii").strip()


def kept(path: Path) -> KeptFile[Unconfirmed]:
    """The note on the data partition; only root can read it, because there are passwords in it."""
    return KeptFile(path, _parsed, passing=True)


def load(path: Path) -> Unconfirmed | None:
    """The change that waits, None if there is none that can be read (`kept` tells the two apart)."""
    found = kept(path).read()
    return found.value if isinstance(found, Value) else None


def save(change: Unconfirmed, path: Path) -> None:
    """Keeps it over a power cut. Raises OSError."""
    kept(path).write(json.dumps(asdict(change), indent=2).encode() + b"\n")


def forget(path: Path) -> None:
    """It is confirmed, or taken back. Raises OSError."""
    kept(path).remove()


def _parsed(content: bytes) -> Unconfirmed:
    """What to go back to has to be settings that this version accepts; other names in it are left out."""
    raw = json.loads(content)
    old = understood({name: raw["sections"][name] for name in SECTIONS if name in raw["sections"]})
    if old.refused:
        raise ValueError(str(old.refused[0]))
    sections = old.settings.model_dump(mode="json", include=set(old.raw))
    ports = {str(key): str(name) for key, name in raw["ports"].items()}
    return Unconfirmed(sections, ports, str(raw["boot_id"]), float(raw["deadline_s"]))
