"""Secrets never leave the device: in what is shown they are replaced by a mask, and the mask changes nothing.

A secret is a field of `allegro.settings.model` with `json_schema_extra={"secret": True}`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from allegro.settings.model import Settings

MASK = "********"
JsonObject = dict[str, Any]


def masked(settings: Settings) -> JsonObject:
    """The settings as they may be shown: a secret that is set is `MASK`, one that is not set stays empty."""
    shown: JsonObject = settings.model_dump(mode="json")
    for *sections, name in _secrets(type(settings)):
        holder = shown
        for section in sections:
            holder = holder[section]
        if holder[name]:
            holder[name] = MASK
    return shown


def without_masks(patch: Mapping[str, Any]) -> JsonObject:
    """The patch without the secrets that came back as they were shown, so that these keep their value."""
    return _without(patch, tuple(_secrets(Settings)))


def is_secret(place: Sequence[str]) -> bool:
    """Whether the value at this place of the settings, or something below it, is a secret."""
    return any(secret[: len(place)] == tuple(place) for secret in _secrets(Settings))


def _without(patch: Mapping[str, Any], secrets: tuple[tuple[str, ...], ...]) -> JsonObject:
    result: JsonObject = {}
    for name, value in patch.items():
        if (name,) in secrets and value == MASK:
            continue
        below = tuple(rest for first, *rest_ in secrets if first == name and (rest := tuple(rest_)))
        result[name] = _without(value, below) if isinstance(value, Mapping) and below else value
    return result


def _secrets(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Paths of all secret fields below a model."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from ((name, *rest) for rest in _secrets(field.annotation))
        elif isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("secret"):
            yield (name,)
