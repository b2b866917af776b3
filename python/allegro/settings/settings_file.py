"""The settings file: load, change, save. Written atomically: a power cut leaves the old or the new one."""

import errno
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from allegro.errors import InvalidInput, Unavailable
from allegro.keeping import Absent, Damaged, Found, KeptFile, Unreadable, Value, trouble
from allegro.settings.base import got, in_words
from allegro.settings.lenient import Refused, Understood, not_in_force, understood
from allegro.settings.masks import is_secret
from allegro.settings.model import SCHEMA_VERSION, Settings
from allegro.settings.patches import JsonObject, merged

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class SettingsStore:
    """Holds the current settings and their file.

    What another version of the firmware has written stays readable, in both directions: what this one does
    not know or not accept stays in the file as it is until somebody changes that value here (see
    `allegro.settings.lenient`). `refused` names what is not accepted, `problem` what is wrong with the file.

    A file that makes no sense gives way to its last good copy. One that the disk does not give stays where it
    is: it may be read later, and no change is saved over it before. Without either, defaults apply.
    Only the supervisor writes; other programs make their own store to read.
    One change at a time: callers with several threads hold a lock of their own.
    """

    _understood: Understood
    _current: Settings
    _file_version: int
    _lost: bool

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._file = KeptFile(path, _parsed)
        self._load()
        self._current = self._understood.settings
        if not read_only:
            self._file.mend()

    @property
    def current(self) -> Settings:
        """The settings in force (immutable: a change makes a new object)."""
        return self._current

    @property
    def lost(self) -> bool:
        """Whether there was a file and nothing of it is known: the defaults are not what the user has set."""
        return self._lost

    @property
    def refused(self) -> tuple[Refused, ...]:
        """Values of the file that are not in force, because this version does not accept them."""
        return self._understood.refused

    def change(
        self, patch: Mapping[str, Any], check: Callable[[Settings, Settings], None] = lambda _old, _new: None
    ) -> tuple[Settings, Settings]:
        """Merges a nested patch, checks everything, saves, and returns (old, new).

        `check` looks at (old, new) before anything is saved, and may raise InvalidInput. Raises InvalidInput
        naming the field, also of a value that would not be in force beside one that this version does not
        accept, or Unavailable if the file cannot be written; then nothing has changed.
        """
        old = self._current
        if self._unread:
            self._load()
        if self._unread:
            raise Unavailable(
                f"The settings could not be saved: the present ones cannot be read ({self._unread}).",
                place=self._file.path.name,
                remedy="Restart the device; if this message stays, replace the disk.",
            )
        patch = _forgetting(patch)
        wanted = validated(merged(self._understood.settings.model_dump(mode="json"), patch))
        content = self._understood.to_save(wanted, patch)
        after = understood(content)
        if lost := not_in_force(wanted, content, after.settings):
            raise InvalidInput(
                "This would not be in force, because of what another version of the firmware has set:"
                f" {'; '.join(map(str, self._understood.refused))}.",
                place=lost,
                remedy="Change that, too.",
            )
        new = after.settings  # what another version has set may fit again
        check(old, new)
        version = max(self._file_version, SCHEMA_VERSION)
        try:
            self._file.write(_as_json({"schema_version": version, **after.raw}))
        except OSError as error:
            raise Unavailable(
                f"The settings could not be saved: {error.strerror}. The old ones stay in force.",
                place=self._file.path.name,
                remedy="Restart the device; if this message stays, replace the disk."
                if error.errno in (errno.EROFS, errno.EIO)
                else "Look at the free space of the storage device.",
            ) from error
        self._understood = after
        self._current = new
        self.problem = ""  # the file is whole again
        self._lost = False
        return old, new

    def states(self, section: str, name: str) -> bool:
        """Whether the file says this, rather than leaving it to the default."""
        stated = self._understood.raw.get(section)
        return isinstance(stated, dict) and name in stated

    def stated(self, *place: str) -> Any:
        """What the file itself says, accepted or not; None if it says nothing."""
        found: Any = self._understood.raw
        for name in place:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def state(self, patch: Mapping[str, Any]) -> Settings:
        """Writes values that the file does not state, and nothing else; all others stay as they are there.

        Raises InvalidInput, and Unavailable if the file cannot be written.
        """
        validated(merged(self._current.model_dump(mode="json"), patch))
        content = {"schema_version": self._file_version, **merged(patch, self._understood.raw)}
        try:
            self._file.write(_as_json(content))
        except OSError as error:
            raise Unavailable(f"The settings could not be saved: {error.strerror}.") from error
        self._load()
        self._current = self._understood.settings
        return self._current

    def _load(self) -> None:
        found = self._file.read()
        self._unread = _unread(found)
        self._lost = isinstance(found, Damaged | Unreadable)
        self.problem = self._problem(found)
        self._file_version, raw = found.value if isinstance(found, Value) else (SCHEMA_VERSION, {})
        self._understood = understood(raw)

    def _problem(self, found: Found[tuple[int, JsonObject]]) -> str:
        match found:
            case Absent():
                if os.access(self._file.path.parent, os.W_OK):
                    return ""
                return (
                    "There is no settings file, and none can be saved. The device runs with default settings."
                )
            case Damaged() | Unreadable():
                return f"The settings file {trouble(found)}. The device runs with default settings."
            case Value():
                return f"The settings file {wrong}." if (wrong := trouble(found)) else ""


def _parsed(content: bytes) -> tuple[int, JsonObject]:
    """Version of the format, and the settings. A version that is no number says nothing."""
    raw = json.loads(content)
    if not isinstance(raw, dict):
        raise ValueError("not an object")
    written_by = raw.pop("schema_version", SCHEMA_VERSION)
    return written_by if isinstance(written_by, int) else SCHEMA_VERSION, raw


def _as_json(content: JsonObject) -> bytes:
    # As json.loads reads it: what another program left in the file may hold half a character.
    return json.dumps(content, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _unread(found: Found[tuple[int, JsonObject]]) -> str:
    """Why the file cannot be read at the moment, whether or not its copy can; empty if it can."""
    own = found.instead_of if isinstance(found, Value) else found
    return own.reason if isinstance(own, Unreadable) else ""


def _forgetting(patch: Mapping[str, Any]) -> Mapping[str, Any]:
    """With another protocol for the upload the SFTP server is no longer trusted.

    Release 0.1.0 knows no other: after a roll-back it would log in there with the other server's password.
    Without a host key it sends nothing.
    """
    export = patch.get("export")
    if isinstance(export, dict) and export.get("protocol", "sftp") != "sftp":
        return merged(patch, {"export": {"host_key": "", "host_key_type": ""}})
    return patch


def validated(raw: Mapping[str, Any]) -> Settings:
    """Raises InvalidInput that names the wrong fields and what was expected there."""
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise plain(error) from None


def plain(error: ValidationError) -> InvalidInput:
    """The mistakes of a validation, in words for a user: the first, with all others as `more`."""
    first, *others = (_in_plain_words(each) for each in error.errors(include_url=False, include_context=True))
    first.more = tuple(others)
    return first


def _in_plain_words(mistake: "ErrorDetails") -> InvalidInput:
    place = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return InvalidInput(
            "There is no such setting.",
            place=place,
            remedy="Check its name: an exported configuration, or `allegro settings get`, has all of them.",
        )
    value = mistake["input"]
    names = [part for part in mistake["loc"] if isinstance(part, str)]
    hidden = isinstance(value, dict | list) or is_secret(names)
    message = in_words(mistake["msg"]).removesuffix(".")
    return InvalidInput(f"{message}{'' if hidden else got(value, message)}.", place=place)
