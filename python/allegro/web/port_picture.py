"""The picture of the ports: what each of them is, and whether traffic comes in; what is missing. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Values = Mapping[str, Any]

GOOD, LACKING, NEUTRAL = "good", "bad", "off"


@dataclass(frozen=True)
class Jack:
    """A port as it is drawn. `kind` is GOOD, LACKING or NEUTRAL; `words` what is known of it."""

    name: str
    role: Literal["management", "measuring"]
    cable: bool
    kind: str
    words: str
    missing: str = ""
    """What has to be done before it sees traffic; empty if nothing, or if it need not."""


def jacks(ports: Sequence[Values], recorded: Sequence[Values]) -> list[Jack]:
    """From GET /network and GET /ring: all ports, also one that only the recorder knows of."""
    of_recorder = {port["name"]: port for port in recorded}
    known = {port["name"] for port in ports}
    shown = [_jack(port, of_recorder.get(port["name"])) for port in ports]
    return [*shown, *(_measuring(name, port) for name, port in of_recorder.items() if name not in known)]


def missing(shown: Sequence[Jack]) -> list[str]:
    """What keeps the first link, and any other that has a cable, from being seen; empty: nothing does."""
    found = {jack.name: jack for jack in shown if jack.role == "measuring"}
    if not found:
        return ["This device has no measuring port: it needs one more network port at least."]
    pairs = sorted({_pair(name) for name in found})
    wanted = [
        [found[name] for name in _ports(pair) if name in found]
        for pair in pairs
        if pair == pairs[0] or any(found[name].cable for name in _ports(pair) if name in found)
    ]
    return [jack.missing for both in wanted for jack in both if jack.missing]


def seeing(shown: Sequence[Jack]) -> str:
    """The ports that see traffic, in words; empty if none does."""
    names = [jack.name for jack in shown if jack.role == "measuring" and jack.kind == GOOD]
    if len(names) < 2:
        return "".join(f"{name} sees traffic." for name in names)
    return f"{', '.join(names[:-1])} and {names[-1]} see traffic."


def _jack(port: Values, recorded: Values | None) -> Jack:
    name = port["name"]
    if not port["present"]:
        return Jack(name, port["role"], False, NEUTRAL, "not there")
    if port["role"] == "management":
        up = port["link_up"]
        return Jack(name, "management", up, GOOD if up else NEUTRAL, "management" if up else "no cable")
    if recorded is None and port["link_up"]:
        return Jack(name, "measuring", True, LACKING, "not recorded", f"{name} is not being recorded (yet).")
    return _measuring(name, {**(recorded or {}), "link_up": port["link_up"]})


def _measuring(name: str, port: Values) -> Jack:
    if not port["link_up"]:
        return Jack(
            name,
            "measuring",
            False,
            LACKING,
            "no cable",
            f"{name} has no link: plug its cable in, and switch on what it leads to.",
        )
    if not port["packets"]:
        todo = f"{name} has a link, but no packet has come in: use what is connected to it."
        return Jack(name, "measuring", True, LACKING, "nothing seen", todo)
    if port["packets_per_s"] < 1:
        return Jack(name, "measuring", True, GOOD, "has seen traffic")
    return Jack(name, "measuring", True, GOOD, "sees traffic")


def _pair(name: str) -> int:
    return (int(name.removeprefix("port")) + 1) // 2


def _ports(pair: int) -> tuple[str, str]:
    return f"port{2 * pair - 1}", f"port{2 * pair}"
