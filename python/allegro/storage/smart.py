"""What a disk says about its own health, as smartctl(8) tells it. No I/O.

ATA: SMART RETURN STATUS, and attributes that tell of a failure (ATA/ATAPI-7, SMART READ DATA, flag
"prefailure") at or below their threshold. SCSI: informational exceptions. NVMe: critical warnings of the
health log (NVM Express base specification, "SMART / Health Information").
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

State = Literal["good", "failing", "unknown"]

_WARNINGS: Final = {
    0: "its spare blocks are used up",
    2: "it has become unreliable",
    3: "it takes no more data",
    4: "its memory may be lost with the power",
}
"""Bits of the critical warning. Bit 1 is the temperature, which passes."""

_STANDBY: Final = 2
"""Bit of smartctl's exit code: the disk could not be opened, or sleeps (--nocheck=standby)."""


@dataclass(frozen=True)
class Health:
    """`text` is a sentence; `model` empty if the disk does not tell it.

    `sequence` is the kernel's number of the disk (diskseq) that it was heard from, 0: not known.
    """

    state: State
    text: str
    model: str = ""
    sequence: int = 0


NOT_YET: Final = "It has not been asked for its health yet."
NO_ANSWER: Final = "It could not be asked for its health."
ASLEEP: Final = "It sleeps, and was not asked."
_NOTHING: Final = "It tells nothing about its health."


def command(path: str) -> list[str]:
    """How smartctl(8) is called: it does not wake a disk that sleeps."""
    return ["smartctl", "--json", "--info", "--health", "--attributes", "--nocheck=standby", path]


def sleeps(text: str) -> bool:
    """Whether the disk was not asked because it sleeps. `text` is what smartctl said. Raises ValueError."""
    said = json.loads(text)
    messages = (str(each.get("string", "")) for each in said.get("smartctl", {}).get("messages", ()))
    return bool(said["smartctl"]["exit_status"] & _STANDBY) and any(
        "STANDBY" in each or "SLEEP" in each for each in messages
    )


def heard(text: str, sequence: int = 0) -> Health:
    """What the disk says. `text` is what smartctl said, whatever its exit code. Raises ValueError."""
    said = json.loads(text)
    if not isinstance(said, dict):
        raise ValueError("no object")
    model = str(said.get("model_name") or said.get("scsi_model_name") or "")
    passed = said.get("smart_status", {}).get("passed")
    if passed is None:
        return Health("unknown", _NOTHING, model, sequence)
    reasons = list(_reasons(said))
    if not passed and (reasons or "nvme" not in said["smart_status"]):
        why = ", ".join(reasons) or "soon, by what it has counted (SMART)"
        return Health("failing", f"It says that it fails: {why}.", model, sequence)
    if worn := _worn(said):
        return Health("failing", f"It fails, although it does not say so: {worn}.", model, sequence)
    return Health("good", f"It says that it is well{_wear(said)}.", model, sequence)


def _reasons(said: Mapping[str, Any]) -> Iterator[str]:
    bits = said["smart_status"].get("nvme", {}).get("value", 0)
    yield from (words for bit, words in _WARNINGS.items() if bits >> bit & 1)
    if words := said["smart_status"].get("scsi", {}).get("ie_string"):
        yield str(words).lower()
    if worn := _worn(said):
        yield worn


def _worn(said: Mapping[str, Any]) -> str:
    """The attributes of an ATA disk that tell of a failure now, by smartctl's names; empty if none does."""
    table = said.get("ata_smart_attributes", {}).get("table", ())
    names = [
        str(each.get("name", "")).replace("_", " ")
        for each in table
        if each.get("when_failed") == "now" and each.get("flags", {}).get("prefailure")
    ]
    return f"its counts have come to their limits (SMART: {', '.join(names)})" if names else ""


def _wear(said: Mapping[str, Any]) -> str:
    used = said.get("endurance_used", {}).get("current_percent")
    if used is None:
        used = said.get("nvme_smart_health_information_log", {}).get("percentage_used")
    return "" if used is None else f"; {used} % of its life is used, as its maker reckons"
