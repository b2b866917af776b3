"""The users of the web page and of the API, in a file that only the web page's process can read."""

import logging
import re
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from allegro import new_device
from allegro.accounts import passwords
from allegro.accounts.entries import EntryFile
from allegro.accounts.roles import ROLES, Role
from allegro.errors import Conflict, InvalidInput, NotFound, Unavailable

FIRST_USER = new_device.PAGE_USER
FIRST_PASSWORD = new_device.PAGE_PASSWORD
MOST_USERS = 100
RESERVED = ("root", "nobody")
"""In whose names the device itself asks (`api.audit`, `web.login`): no new user can be mistaken for it."""
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
    """All users. May be called from several threads. Changes raise Unavailable if they cannot be saved.

    The first login holds only where no users were ever kept; where they are lost, `mark` says that they were.
    If they cannot be read, nobody gets in until they can; each login tries again. An entry that this version
    does not understand (a role of a newer one) lets nobody in, and stays in the file; so does whatever else
    is unknown there.
    """

    def __init__(self, path: Path, mark: Path | None = None) -> None:
        self._file = _file(path, mark)
        self._lock = threading.Lock()
        self._take()
        # Somebody who guesses names must not see by the clock which ones exist.
        self._nobody = passwords.hashed("nobody")

    def all(self) -> list[User]:
        """By name."""
        return sorted(self._users.values(), key=lambda user: user.name)

    def get(self, name: str) -> User | None:
        """The user of that name, as it is now."""
        return self._users.get(name)

    def still(self, user: User) -> User | None:
        """The user as it is now; None if it is deleted, or has another password than then."""
        now = self._users.get(user.name)
        return now if now and now.password == user.password else None

    @property
    def problem(self) -> str:
        """What is wrong with the users, in a sentence; empty if nothing is."""
        trouble = self._file.trouble
        if self._file.lost:
            return f"The users of this page cannot be known: their file {trouble}. Nobody can log in."
        if trouble:
            return f"The file of the users of this page {trouble}."
        names = ", ".join(name or "one without a name" for name in map(_name_of, self._file.not_understood))
        return f"These users cannot log in with this version of the firmware: {names}." if names else ""

    @property
    def locked(self) -> bool:
        """Whether nobody can log in, because the users cannot be read."""
        return self._file.lost

    def verified(self, name: str, password: str) -> User | None:
        """The user, if this is the password, and has not been replaced while it was compared.

        Raises Unavailable if the users cannot be read.
        """
        with self._lock:
            if self.locked:
                self._file.read()
                self._take()
        if self.locked:
            raise Unavailable(
                self.problem,
                remedy="Restart the device; if this message stays, replace its disk, or reset its"
                " configuration in the boot menu.",
            )
        user = self._users.get(name)
        right = passwords.matches(password, user.password if user else self._nobody)
        return self.still(user) if user and right else None

    def add(self, name: str, role: str, password: str) -> None:
        """A new user, who chooses another password at the first login."""
        checked = _checked(name, role, password)
        kept = passwords.hashed(password)
        with self._lock:
            # "anna" beside "ANNA" would be two users whom nobody can tell apart when they are spoken of.
            if same := next((each for each in self._users if each.casefold() == name.casefold()), ""):
                raise Conflict(f"There is a user {same} already.", place="name")
            others = map(_name_of, self._file.not_understood)
            if same := next((each for each in others if each.casefold() == name.casefold()), ""):
                raise Conflict(
                    f"There is a user {same} already, whom this version does not understand.", place="name"
                )
            if len(self._users) >= MOST_USERS:
                raise Conflict(f"There cannot be more than {MOST_USERS} users.", place="name")
            self._put(User(name, checked, kept, must_change=True))

    def set_password(self, name: str, password: str, *, by: User | None = None) -> None:
        """A new one that the user has chosen. `by`: as the user was when it was known who asks.

        Raises InvalidInput, NotFound, or Conflict if the user has another password by now.
        """
        kept = self._new_password(name, password)
        with self._lock:
            user = self._known(name)
            if by is not None and self.still(by) is None:
                raise Conflict(
                    "This user has got another password meanwhile, which stays.",
                    place="password",
                    remedy="Log in with that.",
                )
            self._put(replace(user, password=kept, must_change=False))

    def change(self, name: str, *, role: str | None = None, password: str | None = None) -> None:
        """Another role, a password from somebody else (for the next login only), or both: all or nothing.

        Raises InvalidInput, NotFound, or Conflict if nobody would be left to administer the device.
        """
        checked = None if role is None else _role(role)
        kept = None if password is None else self._new_password(name, password)
        with self._lock:
            user = self._known(name)
            if checked is not None:
                user = replace(user, role=checked)
            if kept is not None:
                user = replace(user, password=kept, must_change=True)
            self._put(user)

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

    def _new_password(self, name: str, password: str) -> str:
        """As it is kept."""
        user = self._known(name)
        passwords.check_new(password, name)
        if passwords.matches(password, user.password):
            raise InvalidInput("This is the old password. Choose another one.", place="password")
        return passwords.hashed(password)

    def _put(self, user: User) -> None:
        self._save({**self._users, user.name: user})

    def _save(self, users: dict[str, User]) -> None:
        if not any(user.role == "admin" for user in users.values()):
            raise Conflict("At least one user must have the role admin.", place="role")
        self._file.save(users.values())
        self._users = users

    def _take(self) -> None:
        """What the file holds, or the first login where there never was one."""
        self._users = {user.name: user for user in self._file.entries}
        if self._file.absent:
            self._users = {
                FIRST_USER: User(FIRST_USER, "admin", passwords.hashed(FIRST_PASSWORD), must_change=True)
            }
        if self.problem:
            log.error("%s", self.problem)


def first_login_holds(path: Path, mark: Path | None = None) -> bool:
    """Whether a new device's first user still gets in with the first password, by this file of users.

    Takes some ten milliseconds if a new password is due. False if the file cannot be read: nobody gets in.
    """
    file = _file(path, mark, read_only=True)
    first = next((user for user in file.entries if user.name == FIRST_USER), None)
    if first is None:
        return file.absent
    return first.must_change and passwords.matches(FIRST_PASSWORD, first.password)


def _file(path: Path, mark: Path | None, *, read_only: bool = False) -> EntryFile[User]:
    return EntryFile(
        path, "users", _user, lambda user: user.name, never_empty=True, read_only=read_only, mark=mark
    )


def _user(raw: Any) -> User | None:
    """The user of an entry; None if this version does not understand it. Who may log in is never guessed."""
    match raw:
        case {"name": str(name), "role": str(named), "password": str(kept)} if _NAME.fullmatch(
            name
        ) and kept.startswith("$argon2id$"):
            role = next((each for each in ROLES if each == named), None)
            return User(name, role, kept, raw.get("must_change") is not False) if role else None
    return None


def _name_of(raw: Any) -> str:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name if isinstance(name, str) and _NAME.fullmatch(name) else ""


def _checked(name: str, role: str, password: str) -> Role:
    """The role of a new user. Raises InvalidInput with all that is wrong."""
    mistakes = []
    for check in (
        lambda: _check_name(name),
        lambda: _role(role),
        lambda: passwords.check_new(password, name),
    ):
        try:
            check()
        except InvalidInput as error:
            mistakes.append(error)
    if mistakes:
        mistakes[0].more = tuple(mistakes[1:])
        raise mistakes[0]
    return _role(role)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            "A user name has 1 to 32 characters: letters, digits, dot, hyphen, underscore.", place="name"
        )
    if name.casefold() in RESERVED:
        raise InvalidInput(f"{name} is a name of the device itself. Choose another one.", place="name")


def _role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise InvalidInput(f"A role is one of {', '.join(ROLES)}.", place="role")
