"""What is left in a note about the WiFi that runs, for a supervisor that starts again meanwhile. No I/O."""

import json
from dataclasses import dataclass

from allegro.network.wifi_handover import Handover
from allegro.network.wifi_state import InForce

_TEXTS = ("what", "key", "ssid", "security", "band")


@dataclass(frozen=True)
class Note:
    """What was started, but for mode and adapter, and which passwords it takes."""

    force: InForce
    handover: Handover | None


def written(force: InForce, handover: Handover | None) -> str:
    """One line. Passwords are in it as digests only."""
    kept: dict[str, object] = {name: getattr(force, name) for name in (*_TEXTS, "channel")}
    kept["handover"] = handover and [handover.until_s, sorted(handover.keys)]
    return json.dumps(kept)


def read(text: str) -> Note | None:
    """None for what is no such note."""
    try:
        kept = json.loads(text)
        until = kept["handover"]
        handover = Handover(float(until[0]), frozenset(map(str, until[1]))) if until else None
        what, key, ssid, security, band = (str(kept[name]) for name in _TEXTS)
        channel = int(kept["channel"])
        return Note(InForce("off", None, what, key, ssid, security, band, channel, started=True), handover)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
