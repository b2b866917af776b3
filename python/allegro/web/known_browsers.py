"""Browsers that have logged in before: each has a sealed note of that; strangers' guesses do not stop it."""

import hashlib
import hmac
import logging
import re
import secrets
from pathlib import Path

from allegro.accounts.users import User
from allegro.atomic import write_atomically

COOKIE = "__Host-allegro-browser"
KEPT_S = 365 * 24 * 3600

_KEY_BYTES = 32
_NOTE = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")

log = logging.getLogger(__name__)


class KnownBrowsers:
    """Makes and reads the notes. A note is a random name and its seal (HMAC-SHA-256) for one user, and for as
    long as the user has the same password."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def note(self, user: User) -> str:
        """For a browser in which this user has just logged in."""
        name = secrets.token_urlsafe(16)
        return f"{name}.{self._seal(name, user)}"

    def name(self, note: str, user: User | None) -> str:
        """The browser's name, if we gave it this note for this user with this password; else empty."""
        found = _NOTE.fullmatch(note)
        if user is None or found is None or not hmac.compare_digest(found[2], self._seal(found[1], user)):
            return ""
        return found[1]

    def _seal(self, name: str, user: User) -> str:
        content = f"{name}.{user.name}.{user.password}".encode()
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()


def kept_key(file: Path) -> bytes:
    """The key of the seals, made at the first start.

    One that cannot be kept holds until the program ends: then browsers are strangers again, nothing else.
    """
    try:
        key = file.read_bytes()
        if len(key) == _KEY_BYTES:
            return key
    except FileNotFoundError:
        pass
    except OSError as error:
        log.error("Which browsers are known cannot be read: %s", error.strerror)
        return secrets.token_bytes(_KEY_BYTES)
    key = secrets.token_bytes(_KEY_BYTES)
    try:
        write_atomically(file, key)
    except OSError as error:
        log.error("Which browsers are known cannot be kept: %s", error.strerror)
    return key
