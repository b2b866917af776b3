"""Passwords that all new devices share: which of them hold still, and that none comes back by itself."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from allegro.accounts.users import first_login_holds
from allegro.errors import InvalidInput
from allegro.keeping import Absent, KeptFile, Value
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.settings.wifi import FIRST_PASSWORD

_PASSWORD = ("wifi", "access_point", "password")

log = logging.getLogger(__name__)

HAD_OWN = b"yes\n"
_LOST = b"lost\n"


class OwnWifiPassword:
    """Remembers, beside the settings, that the WiFi has had a password of its own.

    Settings that are lost have the default, which everybody knows: the WiFi must not open with it on a device
    that had another one, or may have had. The mark says "yes", or "lost" with which file could not be read:
    the same file that can be read again is not lost any more. Where the mark itself cannot be read, it counts
    as "yes", and where settings were lost before, a default that they state was written over them.

    A file that was never lost and states the first password was written so by somebody's own hand, with
    release 0.1.0, which takes it.
    """

    def __init__(self, mark: Path, settings: SettingsStore, file: Path) -> None:
        self._mark = KeptFile(mark, bytes)
        found = self._mark.read()
        self._had_own = not isinstance(found, Absent)
        self._noted = found.value if isinstance(found, Value) else b""
        self._own_in_force = False
        if settings.lost:
            if not self._had_own or self._noted == HAD_OWN:
                self._keep(_lost(file))
        elif self._noted == _lost(file):
            self._forget()
        elif self._noted == HAD_OWN and _is_first(settings.current):
            if settings.stated(*_PASSWORD) == FIRST_PASSWORD:
                self._forget()
            else:
                self._keep(_LOST)
        self.apply(settings.current)

    @property
    def is_lost(self) -> bool:
        """Whether the device had a password of its own, or may have had, that is not in force now."""
        return self._had_own and not self._own_in_force

    def apply(self, settings: Settings) -> None:
        """The settings in force now. Back to the first password leads only a change that nobody confirmed."""
        own = not _is_first(settings)
        if own and not self._own_in_force:
            self._keep(HAD_OWN)
        elif self._own_in_force and not own:
            self._forget()
        self._own_in_force = own

    def _keep(self, content: bytes) -> None:
        self._had_own = True
        if content == self._noted:
            return
        try:
            self._mark.write(content)
            self._noted = content
        except OSError as error:  # until the next start it is known all the same
            log.error("That the WiFi has a password of its own cannot be noted: %s", error.strerror)

    def _forget(self) -> None:
        self._had_own, self._noted = False, b""
        try:
            self._mark.remove()
        except OSError as error:
            log.error("That the WiFi has its first password again cannot be noted: %s", error.strerror)


def _is_first(settings: Settings) -> bool:
    return settings.wifi.access_point.password == FIRST_PASSWORD


def _lost(file: Path) -> bytes:
    """The mark for a file of settings that cannot be read, so that the same one is known again."""
    try:
        status = file.stat()
    except OSError:
        return _LOST
    return f"lost {status.st_ino} {status.st_mtime_ns} {status.st_size}\n".encode()


class FirstPasswords:
    """`users`: the file of the page's users. `mark` is made as soon as there is one: the first password must
    not come back if it is lost. The page's program only reads it. `wifi_is_closed`: the WiFi does not open
    with the first one.
    """

    def __init__(
        self, users: Path, mark: Path, settings: Callable[[], Settings], wifi_is_closed: Callable[[], bool]
    ) -> None:
        self._users = users
        self._mark = mark
        self._settings = settings
        self._wifi_is_closed = wifi_is_closed
        self._seen: tuple[int, int] | None = None
        self._page = False

    def left(self) -> Sequence[str]:
        """What still has the first password: "page", "WiFi"."""
        wifi = self._settings().wifi
        open_to_all = wifi.mode == "access-point" and wifi.access_point.password == FIRST_PASSWORD
        return (
            *(("page",) if self._holds_at_the_page() else ()),
            *(("WiFi",) if open_to_all and not self._wifi_is_closed() else ()),
        )

    def _holds_at_the_page(self) -> bool:
        """A password takes a while to compare, so only when the file has changed."""
        try:
            status = self._users.stat()
        except FileNotFoundError:
            seen = (0, 0)
        except OSError:  # then the page says that nobody can log in
            return False
        else:
            seen = (status.st_mtime_ns, status.st_ino)
            self._keep_mark()
        if seen != self._seen:
            self._page, self._seen = first_login_holds(self._users, self._mark), seen
        return self._page

    def _keep_mark(self) -> None:
        file = KeptFile(self._mark, bytes, mode=0o644)
        if not isinstance(file.read(), Absent):
            return
        try:
            file.write(HAD_OWN)
        except OSError as error:  # tried again at the next look
            log.error("That the page has users of its own cannot be noted: %s", error.strerror)


def check_wifi_password(old: Settings, new: Settings) -> None:
    """Raises InvalidInput for a WiFi that would have a new device's password again."""
    before, after = old.wifi.access_point.password, new.wifi.access_point.password
    if after == FIRST_PASSWORD != before:
        raise InvalidInput(
            "This is the password of every new device, which is in the manual.",
            place="wifi.access_point.password",
            remedy="Choose another one.",
        )
