"""Passwords that all new devices share: which of them hold still, and that none comes back by itself."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from allegro.accounts.users import first_login_holds
from allegro.errors import InvalidInput
from allegro.keeping import Absent, KeptFile
from allegro.settings.model import Settings
from allegro.settings.wifi import FIRST_PASSWORD

log = logging.getLogger(__name__)


class OwnWifiPassword:
    """Remembers, beside the settings, that the WiFi has had a password of its own.

    Settings that are lost have the default, which everybody knows: the WiFi must not open with it on a device
    that had another one. `lost`: the settings were there, and cannot be read. The mark tells of a file that
    is gone altogether. Where the mark itself cannot be read, it counts as set.
    """

    def __init__(self, mark: Path, settings: Settings, *, lost: bool) -> None:
        self._mark = KeptFile(mark, bytes)
        self._had_own = not isinstance(self._mark.read(), Absent)
        self._own_in_force = False
        if lost:
            self._keep()
        self.apply(settings)

    @property
    def is_lost(self) -> bool:
        """Whether the device had a password of its own, or may have had, that is not in force now."""
        return self._had_own and not self._own_in_force

    def apply(self, settings: Settings) -> None:
        """The settings in force now. Back to the first password leads only a change that nobody confirmed."""
        own = settings.wifi.access_point.password != FIRST_PASSWORD
        if own and not self._had_own:
            self._keep()
        elif self._own_in_force and not own:
            self._forget()
        self._own_in_force = own

    def _keep(self) -> None:
        self._had_own = True
        try:
            self._mark.write(b"yes\n")
        except OSError as error:  # until the next start it is known all the same
            log.error("That the WiFi has a password of its own cannot be noted: %s", error.strerror)

    def _forget(self) -> None:
        self._had_own = False
        try:
            self._mark.remove()
        except OSError as error:
            log.error("That the WiFi has its first password again cannot be noted: %s", error.strerror)


class FirstPasswords:
    """`users`: the file of the page's users; `wifi_is_closed`: the WiFi does not open with the first one."""

    def __init__(
        self, users: Path, settings: Callable[[], Settings], wifi_is_closed: Callable[[], bool]
    ) -> None:
        self._users = users
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
        if seen != self._seen:
            self._page, self._seen = first_login_holds(self._users), seen
        return self._page


def check_wifi_password(old: Settings, new: Settings) -> None:
    """Raises InvalidInput for a WiFi that would have a new device's password again."""
    before, after = old.wifi.access_point.password, new.wifi.access_point.password
    if after == FIRST_PASSWORD != before:
        raise InvalidInput(
            "This is the password of every new device, which is in the manual.",
            place="wifi.access_point.password",
            remedy="Choose another one.",
        )
