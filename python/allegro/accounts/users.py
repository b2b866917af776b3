"""The users of the web page and of the API, in a file that only the web page's process can read."""

import json
import logging
import re
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from allegro.accounts import passwords
from allegro.accounts.roles import ROLES, Role
from allegro.atomic import write_atomically
from allegro.errors import Conflict, InvalidInput, NotFound, Unavailable

FIRST_USER = "admin"
FIRST_PASSWORD = "allegro"  # noqa: S105 (printed in the manual; has to be changed at the first login)
MOST_USERS = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class User:
    """`password` as `passwords` keeps it; `must_change`: asks for a new one at the next login."""

    name: str
    role: Role
    password: str
    must_change: bool = False


class UserStore:
    """All users. May be called from several threads. Changes raise Unavailable if they cannot be saved."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._users = self._load()
        # Somebody who guesses names must not see by the clock which ones exist.
        self._nobody = passwords.hashed("nobody")

    def all(self) -> list[User]:
        """By name."""
        return sorted(self._users.values(), key=lambda user: user.name)

    def get(self, name: str) -> User | None:
        """The user of that name, as it is now."""
        return self._users.get(name)

    def verified(self, name: str, password: str) -> User | None:
        """The user, if this is the password."""
        user = self._users.get(name)
        right = passwords.matches(password, user.password if user else self._nobody)
        return user if user and right else None

    def add(self, name: str, role: str, password: str) -> None:
        """A new user, who chooses another password at the first login."""
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                "A user name has 1 to 32 characters: letters, digits, dot, hyphen, underscore.", place="name"
            )
        checked = _role(role)
        passwords.check_new(password, name)
        kept = passwords.hashed(password)
        with self._lock:
            if name in self._users:
                raise Conflict(f"There is a user {name} already.", place="name")
            if len(self._users) >= MOST_USERS:
                raise Conflict(f"There cannot be more than {MOST_USERS} users.", place="name")
            self._save({**self._users, name: User(name, checked, kept, must_change=True)})

    def set_password(self, name: str, password: str, *, must_change: bool = False) -> None:
        """A new password; `must_change` if somebody else chose it. Raises InvalidInput or NotFound."""
        user = self._known(name)
        passwords.check_new(password, name)
        if passwords.matches(password, user.password):
            raise InvalidInput("This is the old password. Choose another one.", place="password")
        kept = passwords.hashed(password)
        with self._lock:
            user = replace(self._known(name), password=kept, must_change=must_change)
            self._save({**self._users, name: user})

    def set_role(self, name: str, role: str) -> None:
        """Raises Conflict if nobody would be left to administer the device."""
        checked = _role(role)
        with self._lock:
            self._save({**self._users, name: replace(self._known(name), role=checked)})

    def delete(self, name: str) -> None:
        """Raises NotFound, or Conflict if nobody would be left to administer the device."""
        with self._lock:
            self._known(name)
            self._save({other: user for other, user in self._users.items() if other != name})

    def _known(self, name: str) -> User:
        user = self._users.get(name)
        if user is None:
            raise NotFound(f"There is no user {name}.", place="name")
        return user

    def _save(self, users: dict[str, User]) -> None:
        if not any(user.role == "admin" for user in users.values()):
            raise Conflict("At least one user must have the role admin.", place="role")
        content = {"schema_version": 1, "users": [asdict(user) for user in users.values()]}
        try:
            write_atomically(self._path, json.dumps(content, indent=2).encode() + b"\n")
        except OSError as error:
            raise Unavailable(
                f"The users could not be saved: {error.strerror}.",
                remedy="Look at the free space of the storage device.",
            ) from error
        self._users = users

    def _load(self) -> dict[str, User]:
        try:
            content = json.loads(self._path.read_bytes())
            users = {each["name"]: _user(each) for each in content["users"]}
            if not any(user.role == "admin" for user in users.values()):
                raise ValueError("no admin in it")
        except FileNotFoundError:
            return _first()
        except (OSError, ValueError, TypeError, KeyError) as error:
            aside = self._path.with_name(
                f"users.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
            )
            log.error("The file of the users cannot be used (%s). The first login holds again.", error)
            try:
                self._path.rename(aside)
            except OSError as failure:
                log.error("It could not be put aside: %s", failure)
            return _first()
        return users


def _first() -> dict[str, User]:
    return {FIRST_USER: User(FIRST_USER, "admin", passwords.hashed(FIRST_PASSWORD), must_change=True)}


def _user(raw: dict[str, object]) -> User:
    name, kept = raw["name"], raw["password"]
    if not isinstance(name, str) or not isinstance(kept, str) or not kept.startswith("$argon2id$"):
        raise ValueError("a user without name or password")
    return User(name, _role(str(raw["role"])), kept, must_change=bool(raw["must_change"]))


def _role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise InvalidInput(f"A role is one of {', '.join(ROLES)}.", place="role")
