"""API tokens: what a program shows instead of a user's password (`Authorization: Bearer`, RFC 6750).

A token is shown once, when it is made; only its hash is kept. 256 random bits need no slow hash.
"""

import hashlib
import hmac
import logging
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from allegro.accounts.entries import EntryFile
from allegro.accounts.roles import Role, role_named
from allegro.errors import Conflict, InvalidInput, NotFound, Unavailable

MOST_TOKENS = 100
LONGEST_DAYS = 3650
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_ID = re.compile(r"[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"allegro_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")

_LATEST_S = 253_402_214_400  # 9999-12-31: the last day that Python's dates know, for the sake of all zones

_NOTED_EVERY_S = 3600
"""The last use is written down so often: not with each request, for the sake of the disk."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Token:
    """`id` names it in the API; `sha256` is of its secret part. Times in seconds since 1970, None: never."""

    id: str
    name: str
    role: Role
    sha256: str
    created_s: float
    ends_s: float | None
    used_s: float | None = None


class TokenStore:
    """All tokens. May be called from several threads.

    If their file cannot be read or understood, nor its last good copy, no token lets anybody in, and nothing
    is written over it. An entry that this version does not understand lets nobody in, and stays.
    """

    def __init__(
        self, path: Path, now_s: Callable[[], float] = lambda: datetime.now(UTC).timestamp()
    ) -> None:
        self._file = EntryFile(path, "tokens", _token, lambda token: token.id)
        self._now_s = now_s
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}
        self._tokens = {token.id: token for token in self._file.entries}
        if self.problem:
            log.error("%s", self.problem)

    @property
    def problem(self) -> str:
        """What is wrong with the tokens, in a sentence; empty if nothing is."""
        if self._file.trouble:
            lost = " No token lets anybody in." if self._file.lost else ""
            return f"The file of the API tokens {self._file.trouble}.{lost}"
        count = len(self._file.not_understood)
        return f"{count} of the API tokens let nobody in with this version of the firmware." if count else ""

    def all(self) -> list[Token]:
        """By name; those that have ended, too."""
        return sorted(self._tokens.values(), key=lambda token: (token.name, token.id))

    def add(self, name: str, role: str, days: int | None) -> tuple[Token, str]:
        """A new token that ends in so many days (None: never), and the text that a program sends.

        Raises InvalidInput, Conflict, or Unavailable if it cannot be kept.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                "A name of a token has 1 to 32 characters: letters, digits, dot, hyphen, underscore.",
                place="name",
            )
        known_role = role_named(role)
        if known_role is None:
            raise InvalidInput("A role is one of admin, capture, viewer.", place="role")
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            raise InvalidInput(f"A token ends in 1 to {LONGEST_DAYS} days, or never.", place="days")
        secret = secrets.token_urlsafe(32)
        now_s = self._now_s()
        with self._lock:
            if any(token.name == name for token in self._tokens.values()):
                raise Conflict(f"There is a token {name} already.", place="name")
            if len(self._tokens) >= MOST_TOKENS:
                raise Conflict(
                    f"There cannot be more than {MOST_TOKENS} tokens.",
                    remedy="Delete one that is not needed.",
                )
            token = Token(
                secrets.token_hex(6),
                name,
                known_role,
                _hash(secret),
                now_s,
                None if days is None else now_s + days * 24 * 3600,
            )
            self._save({**self._tokens, token.id: token})
        return token, f"allegro_{token.id}_{secret}"

    def delete(self, token_id: str) -> Token:
        """Lets nobody in with it any more. Raises NotFound, or Unavailable if that cannot be kept."""
        with self._lock:
            token = self._tokens.get(token_id)
            if token is None:
                raise NotFound("There is no such token.", place="id")
            self._save({key: each for key, each in self._tokens.items() if key != token_id})
        return token

    def verified(self, text: str) -> Token | None:
        """The token that a program has sent, if it holds now. Notes its use."""
        found = _TOKEN.fullmatch(text)
        token = self._tokens.get(found[1]) if found else None
        if found is None or token is None or not hmac.compare_digest(token.sha256, _hash(found[2])):
            return None
        if not self.holds(token):
            return None
        self._note_use(token, self._now_s())
        return token

    def holds(self, token: Token) -> bool:
        """Whether it has not ended."""
        return token.ends_s is None or self._now_s() < token.ends_s

    def _note_use(self, token: Token, now_s: float) -> None:
        with self._lock:
            if token.id not in self._tokens:
                return
            self._tokens = {**self._tokens, token.id: replace(token, used_s=now_s)}
            if abs(now_s - self._noted.get(token.id, token.used_s or 0.0)) < _NOTED_EVERY_S:
                return
            self._noted[token.id] = now_s
            try:
                self._save(self._tokens)
            except Unavailable as error:  # who asks has nothing to do with it
                log.warning("The last use of a token is not noted: %s", error)

    def _save(self, tokens: dict[str, Token]) -> None:
        self._file.save(tokens.values())
        self._tokens = tokens


def _token(raw: Any) -> Token | None:
    """The token of an entry; None if this version does not understand it."""
    match raw:
        case {"id": str(key), "name": str(name), "role": str(named), "sha256": str(sha256)} if (
            _ID.fullmatch(key) and _NAME.fullmatch(name) and _SHA256.fullmatch(sha256)
        ):
            role, created_s = role_named(named), raw.get("created_s")
            ends_s, used_s = raw.get("ends_s"), raw.get("used_s")
            if (
                role
                and _is_time(created_s)
                and all(each is None or _is_time(each) for each in (ends_s, used_s))
            ):
                return Token(key, name, role, sha256, created_s, ends_s, used_s)
    return None


def _is_time(value: Any) -> bool:
    """Whether it can be shown as a date, in any zone."""
    return isinstance(value, float | int) and 0 <= value < _LATEST_S


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
