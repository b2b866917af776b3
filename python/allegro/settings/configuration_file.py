"""The configuration as one file: what it holds, and what of it a device takes over. No I/O.

JSON, to be read and kept by people. Secrets are in it only if a password was given, sealed by it.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from allegro.errors import InvalidInput
from allegro.settings.lenient import understood
from allegro.settings.masks import JsonObject, parted
from allegro.settings.model import Settings
from allegro.settings.patches import merged
from allegro.settings.sealing import opened, sealed

FORMAT: Final = 1
_MARK: Final = "allegro_configuration"


@dataclass(frozen=True)
class Configuration:
    """What a file holds. `settings` without secrets; `box`: the sealed ones, None without any.

    `device`, `firmware`, `time` (ISO 8601, or empty): who has written it, as far as it says.
    """

    settings: JsonObject
    box: JsonObject | None
    device: str
    firmware: str
    time: str


@dataclass(frozen=True)
class TakenOver:
    """What a device takes over: the change, and what is left out of it, in words."""

    patch: JsonObject
    left_out: tuple[str, ...]


def exported(settings: Settings, password: str, *, device: str, firmware: str, time: str) -> JsonObject:
    """The content of the file; with a password also the secrets. `time` as ISO 8601."""
    plain, secrets = parted(settings)
    content = {_MARK: FORMAT, "device": device, "firmware": firmware, "time": time, "settings": plain}
    if password and secrets:
        content["secrets"] = sealed(json.dumps(secrets).encode(), _canonical(plain), password)
    return content


def configuration(raw: Mapping[str, Any]) -> Configuration:
    """The file that `exported` has made. Raises InvalidInput for another."""
    number, settings, box = raw.get(_MARK), raw.get("settings"), raw.get("secrets")
    if not isinstance(number, int) or not isinstance(settings, dict):
        raise InvalidInput(
            "This is no configuration that an Allegro device has exported.",
            place="file",
            remedy="Choose a file that was made with “Export”.",
        )
    if number > FORMAT or not isinstance(box, dict | None):
        raise InvalidInput("A newer version of the firmware has written this file.", place="file")
    device, firmware = (str(raw.get(name, "")) for name in ("device", "firmware"))
    return Configuration(settings, box, device, firmware, _time(raw.get("time")))


def secrets_of(file: Configuration, password: str) -> JsonObject:
    """Its secrets; none without a password. Raises InvalidInput if the password does not open them."""
    if not password or file.box is None:
        return {}
    found = json.loads(opened(file.box, _canonical(file.settings), password))
    return found if isinstance(found, dict) else {}


def taken_over(file: JsonObject, present: Settings, sections: Collection[str] | None = None) -> TakenOver:
    """What of a file's settings (secrets among them) can be in force here; of some `sections` alone.

    What the file does not name stays as it is. A value that this version does not know or accept is left out.
    """
    wanted = {
        name: value
        for name, value in file.items()
        if name != "schema_version" and (sections is None or name in sections)
    }
    found = understood(merged(present.model_dump(mode="json", exclude={"schema_version"}), wanted))
    reasons = {each.place: str(each) for each in found.refused}
    left_out: list[str] = []
    patch = _taken(wanted, found.in_force, "", reasons, left_out)
    return TakenOver(patch, tuple(left_out))


def fitting(taken: TakenOver, attempt: Callable[[JsonObject], object]) -> TakenOver:
    """Without the values that `attempt` refuses, such as a ring that is larger than the disk here.

    Of a table that is all of it. Raises InvalidInput for what names no value of the patch.
    """
    patch, left_out = taken.patch, list(taken.left_out)
    while True:
        try:
            attempt(patch)
        except InvalidInput as error:
            names = _leading_to(patch, error.place)
            if not names:
                raise
            patch = _without(patch, names)
            left_out.append(f"{'.'.join(names)}: {error.message} {error.remedy}".strip())
        else:
            return TakenOver(patch, tuple(left_out))


def _leading_to(patch: JsonObject, place: str) -> list[str]:
    """The names of the value that a place lies in; none if there is no such value."""
    here: Any = patch
    names: list[str] = []
    for name in place.split("."):
        if isinstance(here, dict):
            here = here.get(name, {})
            names.append(name)
    return [] if isinstance(here, dict) else names


def _without(patch: JsonObject, names: Sequence[str]) -> JsonObject:
    first, *below = names
    rest = {name: value for name, value in patch.items() if name != first}
    return {**rest, first: _without(patch[first], below)} if below else rest


def _taken(
    wanted: JsonObject, known: JsonObject, above: str, reasons: Mapping[str, str], left_out: list[str]
) -> JsonObject:
    patch: JsonObject = {}
    for name, value in wanted.items():
        place = f"{above}{name}"
        if name not in known:
            left_out.append(reasons.get(place, f"{place}: this version of the firmware does not know it"))
        elif isinstance(value, dict) and isinstance(known[name], dict):
            patch[name] = _taken(value, known[name], f"{place}.", reasons, left_out)
        else:
            patch[name] = known[name]
            if value != known[name]:
                left_out += _rows(place, reasons) or [f"{place}: a part of it is not known here"]
    return patch


def _rows(place: str, reasons: Mapping[str, str]) -> list[str]:
    return [reason for each, reason in reasons.items() if each.startswith(f"{place}.")]


def _time(said: Any) -> str:
    """ISO 8601 in UTC; empty for what is no time of our days."""
    try:
        moment = datetime.fromisoformat(said).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return ""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if 1970 <= moment.year < 2200 else ""


def _canonical(settings: Mapping[str, Any]) -> bytes:
    return json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()
