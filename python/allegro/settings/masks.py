"""Secrets never leave the device: in what is shown they are replaced by a mask, and the mask changes nothing.

A secret is a field of `allegro.settings.model` with `json_schema_extra={"secret": True}`, in a section or in
the rows of a table.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel

from allegro.settings.model import Settings

MASK = "********"
M = TypeVar("M", bound=BaseModel)
JsonObject = dict[str, Any]


def masked(settings: BaseModel) -> JsonObject:
    """The settings as they may be shown: a secret that is set is `MASK`, one that is not set stays empty."""
    shown: JsonObject = settings.model_dump(mode="json")
    for secret in _secrets(type(settings)):
        _mask(shown, secret)
    return shown


def hidden(settings: M) -> M:
    """The same as a model. It is not checked again: a mask need not be what its field asks for."""
    shown: dict[str, object] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("secret"):
            shown[name] = MASK if value else value
        elif isinstance(value, BaseModel):
            shown[name] = hidden(value)
        elif isinstance(value, tuple):
            shown[name] = tuple(hidden(each) if isinstance(each, BaseModel) else each for each in value)
    return settings.model_copy(update=shown)


def without_masks(patch: Mapping[str, Any]) -> JsonObject:
    """The patch without the secrets that came back as they were shown, so that these keep their value."""
    return _without(patch, tuple(_secrets(Settings)))


def parted(settings: BaseModel) -> tuple[JsonObject, JsonObject]:
    """The settings without their secrets, and the secrets that are set, nested as in the settings."""
    plain: JsonObject = settings.model_dump(mode="json")
    secrets: JsonObject = {}
    for *above, name in _secrets(type(settings)):
        holder, kept = plain, secrets
        for section in above:
            holder = holder[section]
        value = holder.pop(name)
        if value:
            for section in above:
                kept = kept.setdefault(section, {})
            kept[name] = value
    return plain, secrets


def is_secret(place: Sequence[str], model: type[BaseModel] = Settings) -> bool:
    """Whether the value at this place, numbers of rows left out, or something below it, is a secret."""
    return any(secret[: len(place)] == tuple(place) for secret in _secrets(model))


def _mask(shown: Any, secret: Sequence[str]) -> None:
    if isinstance(shown, list):
        for row in shown:
            _mask(row, secret)
    elif isinstance(shown, dict):
        name, *rest = secret
        if rest:
            _mask(shown.get(name), rest)
        elif shown.get(name):
            shown[name] = MASK


def _without(patch: Mapping[str, Any], secrets: tuple[tuple[str, ...], ...]) -> JsonObject:
    result: JsonObject = {}
    for name, value in patch.items():
        if (name,) in secrets and value == MASK:
            continue
        below = tuple(rest for first, *rest_ in secrets if first == name and (rest := tuple(rest_)))
        result[name] = _without(value, below) if isinstance(value, Mapping) and below else value
    return result


def _secrets(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Paths of all secret fields below a model; a table's rows add nothing to the path."""
    for name, field in model.model_fields.items():
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("secret"):
            yield (name,)
        else:
            for inner in _models(field.annotation):
                yield from ((name, *rest) for rest in _secrets(inner))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a field's type: itself, in a list, or as one of several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
