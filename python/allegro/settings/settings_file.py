"""The settings file: load, change, save. Written atomically: a power cut leaves the old or the new one."""

import contextlib
import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from allegro.atomic import write_atomically
from allegro.errors import InvalidInput, Unavailable
from allegro.settings.model import SCHEMA_VERSION, Settings

JsonObject = dict[str, Any]


class SettingsStore:
    """Holds the current settings and their file.

    What another version of the firmware has written stays readable, in both directions: names that this one
    does not know are kept in the file as they are, and so are values that only a newer version understands,
    until somebody changes them here.

    A file that makes no sense is put aside as `settings.damaged-<time>.json`, defaults apply, and `problem`
    says so. One that the disk does not give (OSError) stays where it is: it may be read later, and no change
    is saved over it before. Only the supervisor writes; other programs make their own store to read.
    One change at a time: callers with several threads hold a lock of their own.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self.problem = ""
        self._unread = ""
        self._foreign: JsonObject = {}
        self._file_version = SCHEMA_VERSION
        self._saved = self._current = self._load()

    @property
    def current(self) -> Settings:
        """The settings in force (immutable: a change makes a new object)."""
        return self._current

    def change(
        self, patch: Mapping[str, Any], check: Callable[[Settings, Settings], None] = lambda _old, _new: None
    ) -> tuple[Settings, Settings]:
        """Merges a nested patch, checks everything, saves, and returns (old, new).

        `check` looks at (old, new) before anything is saved, and may raise InvalidInput. Raises InvalidInput
        naming the field, or Unavailable if the file cannot be written; then nothing has changed.
        """
        old = self._current
        if self._unread:
            self._saved = self._load()
        if self._unread:
            raise Unavailable(
                f"The settings could not be saved: the present ones cannot be read ({self._unread}).",
                place=self._path.name,
                remedy="Restart the device; if this message stays, replace the disk.",
            )
        new = validated(merged(self._saved.model_dump(mode="json"), patch))
        check(old, new)
        foreign = without(self._foreign, patch)
        content = merged(new.model_dump(mode="json"), foreign)
        content["schema_version"] = max(self._file_version, SCHEMA_VERSION)
        try:
            write_atomically(self._path, json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise Unavailable(
                f"The settings could not be saved: {error.strerror}. The old ones stay in force.",
                place=self._path.name,
                remedy="Restart the device; if this message stays, replace the disk."
                if error.errno in (errno.EROFS, errno.EIO)
                else "Look at the free space of the storage device.",
            ) from error
        self._saved = self._current = new
        self._foreign = foreign
        self.problem = ""  # the file is whole again
        return old, new

    def _load(self) -> Settings:
        self._unread = ""
        self._foreign = {}
        self._file_version = SCHEMA_VERSION
        try:
            raw = json.loads(self._path.read_bytes())
            if not isinstance(raw, dict):
                raise ValueError("not an object")
            written_by = raw.pop("schema_version", SCHEMA_VERSION)
            known = known_part(raw) if written_by > SCHEMA_VERSION else known_names(raw)
            settings = validated(known)
            self._foreign = difference(raw, known)
            self._file_version = written_by
            return settings
        except FileNotFoundError:
            if not os.access(self._path.parent, os.W_OK):
                self.problem = (
                    "There is no settings file, and none can be saved. The device runs with default settings."
                )
            return Settings()
        except OSError as error:
            self._unread = error.strerror or str(error)
            self.problem = (
                f"The settings file cannot be read ({self._unread}). The device runs with default settings."
            )
            return Settings()
        except (ValueError, TypeError, InvalidInput) as error:
            aside = self._path.with_name(
                f"settings.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
            )
            self.problem = (
                f"The settings file cannot be used ({error}). The device runs with default settings."
            )
            if not self._read_only:
                with contextlib.suppress(OSError):
                    self._path.rename(aside)
                    self.problem += f" The old file is kept as {aside.name}."
            return Settings()


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> JsonObject:
    """`base` with `patch` laid over it, section by section (RFC 7396 without its rule for null)."""
    result = dict(base)
    for name, value in patch.items():
        present = result.get(name)
        result[name] = (
            merged(present, value) if isinstance(present, dict) and isinstance(value, Mapping) else value
        )
    return result


def validated(raw: Mapping[str, Any]) -> Settings:
    """Raises InvalidInput that names the first wrong field and what was expected there."""
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise plain(error) from None


def plain(error: ValidationError) -> InvalidInput:
    """The first mistake of a validation, in words for a user."""
    first = error.errors(include_url=False, include_context=True)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return InvalidInput(
            "There is no such setting.", place=place, remedy="`allegro settings get` lists all of them."
        )
    value = first["input"]
    shown = (
        "" if isinstance(value, dict) or "password" in place else f" (got {json.dumps(value, default=str)})"
    )
    return InvalidInput(f"{in_words(first['msg'])}{shown}.", place=place)


def in_words(message: str) -> str:
    """A message of pydantic as a sentence of ours, without the full stop."""
    message = message.removeprefix("Value error, ").replace("Input should", "Must", 1)
    return message[:1].upper() + message[1:]


def known_names(raw: JsonObject) -> JsonObject:
    """The settings without the names that this version does not know, however deep they stand."""
    known: JsonObject = json.loads(json.dumps(raw))
    try:
        Settings.model_validate(known)
    except ValidationError as error:
        for wrong in error.errors(include_url=False):
            if wrong["type"] == "extra_forbidden":
                *places, name = wrong["loc"]
                holder: Any = known
                for place in places:
                    holder = holder[place]
                del holder[name]
    return known


def difference(whole: Mapping[str, Any], part: Mapping[str, Any]) -> JsonObject:
    """What of `whole` is not in `part`, which was taken from it."""
    result: JsonObject = {}
    for name, value in whole.items():
        if name not in part:
            result[name] = value
        elif isinstance(value, Mapping) and isinstance(part[name], Mapping):
            result[name] = difference(value, part[name])
    return result


def without(foreign: Mapping[str, Any], patch: Mapping[str, Any]) -> JsonObject:
    """`foreign` without what `patch` sets."""
    result: JsonObject = {}
    for name, value in foreign.items():
        if name not in patch:
            result[name] = value
        elif isinstance(value, Mapping) and isinstance(patch[name], Mapping):
            result[name] = without(value, patch[name])
    return result


def known_part(raw: JsonObject) -> JsonObject:
    """What this version understands of a file written by a newer one, so that a roll-back keeps settings."""
    raw = known_names(raw)
    defaults = Settings().model_dump(mode="json")
    result: JsonObject = {}
    for section, fields in defaults.items():
        given = raw.get(section)
        if not isinstance(fields, dict) or not isinstance(given, dict):
            continue
        known = _without_unknown(given, fields)
        for candidate in (known, *_parts(known)):
            attempt = merged(result, {section: candidate})
            with contextlib.suppress(InvalidInput):
                validated(attempt)
                result = attempt
    return result


def _without_unknown(raw: Mapping[str, Any], known: Mapping[str, Any]) -> JsonObject:
    """What of `raw` has a name that `known` has as well, also below."""
    result: JsonObject = {}
    for name, value in raw.items():
        present = known.get(name)
        if isinstance(present, dict) and isinstance(value, Mapping):
            result[name] = _without_unknown(value, present)
        elif name in known:
            result[name] = value
    return result


def _parts(section: Mapping[str, Any]) -> Iterator[JsonObject]:
    """Each value alone, larger parts before what they consist of."""
    for name, value in section.items():
        yield {name: value}
        if isinstance(value, Mapping):
            yield from ({name: part} for part in _parts(value))
