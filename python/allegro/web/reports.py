"""What the page's program tells the list of events: log-ins, which it judges, and accounts, which it keeps.

Nobody waits for it: reports are put together and sent every second. While the supervisor does not take them
they wait, so many at most.
"""

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass

from allegro.api.asker import WEB_PROGRAM
from allegro.errors import AllegroError
from allegro.events.event import LONGEST_SOURCE, LONGEST_TEXT, LONGEST_WHO, Kind, visible
from allegro.web.backend import Asker, Backend
from allegro.web.neighbourhood import neighbourhood, readable

MOST_WAITING = 200
EVERY_S = 1.0
AGAIN_AFTER_S = 10.0
LAST_WORDS_S = 2.0

PROGRAM_EVERY_S = 3600.0
"""A program logs in with each request: that is told once an hour."""

MOST_PROGRAMS = 1000

_US = Asker(WEB_PROGRAM, "admin")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Report:
    kind: Kind
    text: str
    who: str
    source: str


class Reports:
    """May be called from several threads. Raises nothing; `problem` says in plain words what is not taken."""

    def __init__(self, backend: Backend, now_s: Callable[[], float] = time.monotonic) -> None:
        self.problem = ""
        self._backend = backend
        self._now_s = now_s
        self._lock = threading.Lock()
        self._waiting: OrderedDict[_Report, int] = OrderedDict()
        self._programs: OrderedDict[tuple[str, str], float] = OrderedDict()

    def note(self, kind: Kind, text: str, *, who: str = "", source: str = "", count: int = 1) -> None:
        """To be told with the next reports. Of too many different ones the rest is counted by kind."""
        report = _Report(
            kind,
            visible(text, LONGEST_TEXT),
            visible(who, LONGEST_WHO),
            visible(readable(source), LONGEST_SOURCE),
        )
        with self._lock:
            if report not in self._waiting and len(self._waiting) >= MOST_WAITING:
                report = _Report(kind, "More of these, not listed one by one", "", "several sources")
            self._waiting[report] = self._waiting.get(report, 0) + count

    def failed(self, name: str, address: str) -> None:
        """A log-in. `name`: of a user; empty if there is none: it may be a password in the wrong field."""
        text = "Wrong password" if name else "Unknown user name"
        self.note("login-failed", text, who=name, source=neighbourhood(address))

    def program(self, who: str, address: str) -> None:
        """A program has logged in, as it does with each of its requests."""
        key, now_s = (who, neighbourhood(address)), self._now_s()
        with self._lock:
            told_s = self._programs.get(key)
            if told_s is not None and now_s - told_s < PROGRAM_EVERY_S:
                return
            self._programs[key] = now_s
            self._programs.move_to_end(key)
            while len(self._programs) > MOST_PROGRAMS:
                self._programs.popitem(last=False)
        self.note("login", "Logged in by a program", who=who, source=address)

    async def send(self) -> None:
        """Tells what waits; what is not taken waits on."""
        with self._lock:
            sent, self._waiting = self._waiting, OrderedDict()
        if not sent:
            return
        body = {"events": [{**asdict(each), "count": count} for each, count in sent.items()]}
        try:
            await self._backend.ask(_US, "POST", "/events", body)
        except BaseException as error:
            with self._lock:
                later, self._waiting = self._waiting, sent
            for each, count in later.items():
                self.note(each.kind, each.text, who=each.who, source=each.source, count=count)
            if not isinstance(error, AllegroError):
                raise
            if not self.problem:
                log.warning("Log-ins cannot be written to the list of events: %s", error)
            self.problem = f"Log-ins are not in the list of events: {error.message}"
        else:
            self.problem = ""

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(AGAIN_AFTER_S if self.problem else EVERY_S)
                await self.send()
        finally:
            async with asyncio.timeout(LAST_WORDS_S):
                await self.send()
