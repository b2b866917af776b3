"""In what two settings differ, value by value, as it may be shown: with labels, secrets masked. No I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from allegro.settings.masks import MASK, JsonObject, is_secret
from allegro.settings.model import Settings
from allegro.settings.patches import differing


@dataclass(frozen=True)
class Difference:
    """`place` as users of the API write it (`trigger.before_s`), `label` as the page calls it.

    A table is one value, with all its rows. Of a secret only is told whether it is set (`MASK`) or not ("").
    """

    section: str
    place: str
    label: str
    before: Any
    after: Any


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Of two complete settings, in the order in which they are declared."""
    found = {each.place: each for each in _found(differing(after, before), before, ())}
    return [found[place] for place in _places(after, ()) if place in found]


def _found(changed: JsonObject, before: Any, above: tuple[str, ...]) -> Iterator[Difference]:
    for name, value in changed.items():
        place = (*above, name)
        old = before.get(name) if isinstance(before, Mapping) else None
        if isinstance(value, dict) and isinstance(old, Mapping):
            yield from _found(value, old, place)
        elif above:
            shown = [MASK if each else "" for each in (old, value)] if is_secret(place) else [old, value]
            yield Difference(above[0], ".".join(place), _label(place), *shown)


def _places(settings: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _places(value, (*above, name))
        else:
            yield ".".join((*above, name))


def _label(place: tuple[str, ...]) -> str:
    """What the parts of a place are called: a section by its first sentence, a field by its title or name."""
    model: type[BaseModel] | None = Settings
    words: list[str] = []
    for name in place:
        field = model.model_fields.get(name) if model is not None else None
        own = field.annotation if field is not None else None
        below = own if isinstance(own, type) and issubclass(own, BaseModel) else None
        title = field.title if field is not None else None
        if model is Settings and below is not None:
            title = (below.__doc__ or "").strip().partition(".")[0]
        words.append(title or name.replace("_", " ").capitalize())
        model = below
    return ", ".join(words)
