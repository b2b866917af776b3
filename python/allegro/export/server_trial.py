"""The test upload as users start it: the host key that the server shows, and the test file's whole way."""

import datetime as dt
from collections.abc import Callable

from allegro.errors import Conflict
from allegro.export import schedule
from allegro.export.chosen_way import checked_target, pinned
from allegro.export.export_status import TestResult
from allegro.export.failures import HostKeyChanged, Target
from allegro.export.host_keys import HostKey
from allegro.export.way import Way
from allegro.settings.model import Export


class ServerTrial:
    """Remembers what the last test showed. `way` connects to the server; `host_name` names the device."""

    def __init__(self, way: Callable[[Export], Way], host_name: str, clock_ns: Callable[[], int]) -> None:
        self._way = way
        self._host_name = host_name
        self._clock_ns = clock_ns
        self._shown: tuple[Target, HostKey] | None = None

    def run(self, export: Export) -> TestResult:
        """Connects, and writes the test file if the host key is pinned. Raises AllegroError.

        If no key is pinned, or another one, nothing secret is sent: the result then holds the fingerprint to
        be accepted.
        """
        target = checked_target(export)
        self._shown = None
        if target is None:
            return self._tried(export, HostKey("", ""))
        if not export.host_key:
            from allegro.export.session import server_host_key

            shown = server_host_key(target)
            self._shown = target, shown
            return TestResult(
                shown.fingerprint,
                shown.type,
                "",
                False,
                "",
                "The server answers. Compare this host key with the server's, accept it, and test again.",
            )
        try:
            result = self._tried(export, pinned(export))
        except HostKeyChanged as error:
            self._shown = target, error.shown
            return TestResult(
                error.shown.fingerprint,
                error.shown.type,
                error.pinned.fingerprint,
                False,
                "",
                f"{error.message} Accept the new key only if the server's administrator changed it on "
                "purpose; else somebody may be posing as the server.",
            )
        self._shown = target, pinned(export)
        return result

    def type_of(self, fingerprint: str) -> str:
        """The type of this host key, if the last test showed it; else empty."""
        shown = self._shown
        return shown[1].type if shown is not None and shown[1].fingerprint == fingerprint else ""

    def shown_host_key(self, export: Export) -> HostKey:
        """The key that the last test showed.

        Raises Conflict if there was none since the start of the device, or with another server.
        """
        shown = self._shown
        if shown is None or shown[0] != checked_target(export):
            raise Conflict(
                "No host key of this server has been shown yet.",
                place="export.host_key",
                remedy="Run the test upload first, and compare the key it shows with the server's.",
            )
        return shown[1]

    def _tried(self, export: Export, accepted: HostKey) -> TestResult:
        """Sends the test file the whole way, and says what captures have to do without."""
        from allegro.export.directories import date_of, expanded

        with self._way(export).lanes(1) as (lane,):
            directory = expanded(export.directory, self._host_name, date_of("", self._clock_ns()))
            lane.make_directory(directory)
            tried = lane.try_out(directory, self._text())
        message = " ".join((f"The test file was written: {tried.path}.", *tried.notes))
        key = accepted.fingerprint
        return TestResult(key, accepted.type, key, True, tried.path, message)

    def _text(self) -> str:
        now = dt.datetime.fromtimestamp(self._clock_ns() // schedule.NS, dt.UTC)
        return (
            f"Test upload of {self._host_name} at {now:%Y-%m-%d %H:%M:%S} UTC.\nThis file may be deleted.\n"
        )
