"""Settings as far as this version understands them, value by value; what it does not stays in the file.

A version reads what another one wrote, newer or older, with other limits, choices or time zones. So one value
that is not accepted costs that value alone: it keeps its default, whatever else stands in the file and in
whichever order. A row of a table stands or falls as a whole, because half of one would mean something else.
No I/O.
"""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from pydantic import ValidationError

from allegro.settings.base import in_words
from allegro.settings.masks import MASK, is_secret
from allegro.settings.model import Presenter, Settings

JsonObject = dict[str, Any]
Place = tuple[str | int, ...]


class _Gone(Enum):
    """Stands in a table for a row that is not in force, so that the others keep their numbers."""

    GONE = 0


_GONE: Final = _Gone.GONE

_GUARDS: Final[Mapping[Place, tuple[Place, str | bool]]] = {
    ("wifi", "access_point", "password"): (("wifi", "mode"), "off"),
    ("export", "protocol"): (("export", "enabled"), False),
}
"""What never gives way to its default: a secret, as everybody knows that, and who is sent captures and a
password. What it guards is switched off."""


@dataclass(frozen=True)
class Refused:
    """A value of the file that is not in force. `place` as users write it (`time.zone`)."""

    place: str
    reason: str
    value: Any

    def __str__(self) -> str:
        shown = "" if isinstance(self.value, dict | list) else f" (got {self.value!r:.60})"
        return f"{self.place}: {self.reason}{shown}"


@dataclass(frozen=True)
class Understood:
    """The settings in force. `raw` is what the file holds, `known` the part of it that is in force."""

    settings: Settings
    refused: tuple[Refused, ...]
    raw: JsonObject
    known: JsonObject

    @property
    def in_force(self) -> JsonObject:
        """What the file holds, without all that is not accepted or not known."""
        found: JsonObject = _present(self.known)
        return found

    def to_save(self, new: Settings, patch: Mapping[str, Any]) -> JsonObject:
        """What to write for `new`, which was made of these settings by `patch`.

        All of it, and what is not understood as it stands in the file, but for values that the patch names.
        """
        before = self.settings.model_dump(mode="json")
        content = _filled_up(new.model_dump(mode="json"), before, self.raw, self.known, patch)
        content.pop("schema_version", None)
        return content


def understood(raw: JsonObject) -> Understood:
    """Reads what a file holds; `raw` without `schema_version`. Raises nothing."""
    raw = _each_presenter_once(raw)
    known = copy.deepcopy(raw)
    refused: list[Refused] = []
    while wrong := _mistakes(known):
        unknown = [each["loc"] for each in wrong if each["type"] == "extra_forbidden"]
        if reached := [place for place in unknown if _real_place(known, place)[-1:] == place[-1:]]:
            for place in reached:
                _remove(known, _real_place(known, place))
        else:
            place = _culprit(known, wrong)
            refused.append(_refused(known, place, wrong[0]))
            _remove(known, _row(place) or place)
    settings = Settings.model_validate(_present(known))
    for secret, (guard, closed) in _GUARDS.items():
        if any(f"{_in_words(secret)}.".startswith(f"{each.place}.") for each in refused):
            settings = _with(settings, guard, closed)
            _remove(known, guard)  # what the file says of it stays there
    return Understood(settings, tuple(refused), raw, known)


def _each_presenter_once(raw: JsonObject) -> JsonObject:
    """Without later rows of a model: 0.1.0 accepted them, and nobody loses anything by them."""
    trigger = raw.get("trigger")
    rows = trigger.get("presenters") if isinstance(trigger, dict) else None
    if not isinstance(trigger, dict) or not isinstance(rows, list):
        return raw
    kept: list[Any] = []
    models: set[tuple[str, str]] = set()
    for row in rows:
        model = _model_of(row)
        if model not in models:
            kept.append(row)
        if model:
            models.add(model)
    return {**raw, "trigger": {**trigger, "presenters": kept}}


def _model_of(row: Any) -> tuple[str, str] | None:
    """The USB id of a presenter; None for a row that is not accepted."""
    try:
        found = Presenter.model_validate({name: row[name] for name in Presenter.model_fields})
    except (TypeError, KeyError, ValidationError):
        return None
    return found.vendor, found.product


def not_in_force(wanted: Settings, content: JsonObject, settings: Settings) -> str:
    """The place of a value of `wanted` that `content` states and `settings`, read from it, lack; else ""."""

    def lost(asked: JsonObject, stated: Any, present: JsonObject, above: Place) -> Place:
        if not isinstance(stated, dict):  # refused as a whole, and not touched by this change
            return ()
        for name, value in asked.items():
            if isinstance(value, dict):
                if found := lost(value, stated.get(name), present[name], (*above, name)):
                    return found
            elif isinstance(value, list):
                if any(row not in present[name] for row in value):
                    return (*above, name)
            elif name in stated and present[name] != value == stated[name]:
                return (*above, name)
        return ()

    return _in_words(lost(wanted.model_dump(mode="json"), content, settings.model_dump(mode="json"), ()))


def _mistakes(known: JsonObject) -> list[Any]:
    try:
        Settings.model_validate(_present(known))
    except ValidationError as error:
        return list(error.errors(include_url=False))
    return []


def _culprit(known: JsonObject, wrong: Sequence[Any]) -> Place:
    """Which value to give up for the first mistake: the one it names, or the first whose default helps."""
    place = _real_place(known, wrong[0]["loc"])
    is_section = not _row(place) and isinstance(_at(known, place), dict)
    if not is_section and _helps(known, place, wrong):
        return place
    leaves = list(_leaves(known, Settings().model_dump(mode="json")))
    here = [leaf for leaf in leaves if leaf[:1] == place[:1]]
    for candidates in (here, leaves):
        for leaf in candidates:
            if not _mistakes(_less(known, leaf)):
                return leaf
        for leaf in candidates:
            if _helps(known, leaf, wrong):
                return leaf
    return place[:1] or leaves[0]


def _helps(known: JsonObject, place: Place, wrong: Sequence[Any]) -> bool:
    """Whether the first mistake is gone without the value at `place`."""
    first = _kind(wrong[0])
    return Counter(map(_kind, _mistakes(_less(known, place))))[first] < Counter(map(_kind, wrong))[first]


def _kind(mistake: Any) -> tuple[Place, str]:
    return tuple(part for part in mistake["loc"] if isinstance(part, str)), mistake["msg"]


def _less(known: JsonObject, place: Place) -> JsonObject:
    rest = copy.deepcopy(known)
    _remove(rest, _row(place) or place)
    return rest


def _leaves(known: Mapping[str, Any], declared: Mapping[str, Any], above: Place = ()) -> Iterator[Place]:
    """Places of all values in force, in the order in which they are declared."""
    for name, default in declared.items():
        value = known.get(name, _GONE)
        if isinstance(value, dict) and isinstance(default, dict):
            yield from _leaves(value, default, (*above, name))
        elif value is not _GONE:
            yield (*above, name)


def _real_place(known: JsonObject, loc: Place) -> Place:
    """`loc` of a mistake (rows counted without those that are gone) as far as there is something there."""
    here: Any = known
    place: Place = ()
    for part in loc:
        if isinstance(here, list) and isinstance(part, int):
            part = [number for number, row in enumerate(here) if row is not _GONE][part]
        elif not (isinstance(here, dict) and part in here):
            break
        here = here[part]
        place = (*place, part)
    return place


def _row(place: Place) -> Place:
    """The place of the row of a table that this lies in, empty if it lies in none."""
    return next((place[: at + 1] for at, part in enumerate(place) if isinstance(part, int)), ())


def _at(known: JsonObject, place: Place) -> Any:
    here: Any = known
    for part in place:
        here = here[part]
    return here


def _remove(known: JsonObject, place: Place) -> None:
    """Takes a value out, if it is there."""
    if not place or _real_place(known, place[:1]) != place[:1]:
        return
    holder = _at(known, place[:-1])
    if isinstance(holder, list):
        holder[place[-1]] = _GONE  # type: ignore[index]
    else:
        holder.pop(place[-1], None)


def _present(value: Any) -> Any:
    """Without the rows that are gone."""
    if isinstance(value, dict):
        return {name: _present(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_present(each) for each in value if each is not _GONE]
    return value


def _refused(known: JsonObject, place: Place, mistake: Any) -> Refused:
    """`place` is what the mistake names, or another value that is given up for it."""
    value = _at(known, place)
    missing = mistake["loc"][len(place) :] if _row(place) else ()
    secret = is_secret(tuple(part for part in place if isinstance(part, str)))
    return Refused(_in_words((*place, *missing)), in_words(mistake["msg"]), MASK if secret else value)


def _in_words(place: Place) -> str:
    return ".".join(str(part + 1 if isinstance(part, int) else part) for part in place)


def _with(settings: Settings, place: Place, value: Any) -> Settings:
    section, name = place
    changed = getattr(settings, str(section)).model_copy(update={str(name): value})
    return settings.model_copy(update={str(section): changed})


def _filled_up(
    new: Mapping[str, Any],
    before: Mapping[str, Any],
    raw: Mapping[str, Any],
    known: Mapping[str, Any],
    patch: Mapping[str, Any],
) -> JsonObject:
    """`new` with what stands in `raw` and is not in force."""
    result = dict(new)
    for name, value in raw.items():
        present, asked = new.get(name), patch.get(name, _GONE)
        if isinstance(value, dict) and isinstance(present, dict):
            below = known.get(name)
            result[name] = _filled_up(
                present, before[name], value, below if isinstance(below, dict) else {}, _mapping(asked)
            )
        elif name not in known:
            if asked is _GONE:
                result[name] = value
        elif isinstance(value, list) and isinstance(present, list):
            result[name] = _rows(present, before[name], value, known[name])
    return result


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(new: Sequence[Any], before: Sequence[Any], raw: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    """The rows of a table with the names that are not known here; rows that are not in force stay at the end.

    A row is known again by its values, or, changed, by its number.
    """
    pairs = list(zip(raw, known, strict=True))
    sources = [(row, mine) for row, mine in pairs if mine is not _GONE]
    gone = [row for row, mine in pairs if mine is _GONE]
    if len(sources) != len(before):  # a check has joined or split rows: they cannot be told apart
        return [*new, *gone]
    free = list(range(len(before)))
    chosen: dict[int, int] = {}
    for number, row in enumerate(new):
        match = next((one for one in free if before[one] == row), None)
        if match is not None:
            free.remove(match)
            chosen[number] = match
    for number in range(len(new)):
        if number not in chosen and number in free:
            free.remove(number)
            chosen[number] = number
    rows = []
    for number, row in enumerate(new):
        source, mine = sources[chosen[number]] if number in chosen else (None, None)
        if isinstance(row, dict) and isinstance(source, dict) and isinstance(mine, dict):
            row = _filled_up(row, before[chosen[number]], source, mine, row)
        rows.append(row)
    return [*rows, *gone]
