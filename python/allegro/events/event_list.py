"""The list of events in its file, written by a thread of its own: who notes something waits for no disk."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from allegro.events.event import Event, Kind, event
from allegro.events.event_rules import added, taken_over
from allegro.keeping import KeptFile, Unreadable, Value

TOGETHER_S = 1.0
"""What happens within so long is written together."""

COUNTS_S = 60.0
"""Counts that have grown are written so often, and what could not be written is tried again."""

_LATEST_NS = 253_402_214_400 * 10**9  # 9999-12-31: the last day that Python's dates know, for all zones

log = logging.getLogger(__name__)


class EventList:
    """The only way to write it. May be called from several threads; nothing here raises.

    What the disk does not take stays in memory, and `problem` says so in plain words. `others`: events of one
    kind that are kept elsewhere too, because other programs write them; fewer than this list keeps of a kind.
    `changes` grows with everything that is noted here.
    """

    def __init__(
        self,
        path: Path,
        others: Callable[[], Sequence[Event]] = tuple,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.problem = ""
        self.changes = 0
        self._kept = kept(path)
        self._others = others
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._began_ns = now_ns()
        self._events: list[Event] = []
        self._read = False
        self._written: list[Event] = []
        self._news = threading.Event()
        self._end = threading.Event()
        self._followers: list[Callable[[Event], None]] = []
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._look()

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def stop(self) -> None:
        """Writes what is left."""
        self._end.set()
        self._news.set()
        self._thread.join()

    def follow(self, hear: Callable[[Event], None]) -> None:
        """From now on `hear` is told of each event, in their order, also of those that the list only counts.

        It must not wait for anything, nor raise, nor look at this list. Of the others' events it hears when
        they are taken over, within a minute, and of none from before this start.
        """
        self._followers.append(hear)

    def note(self, kind: Kind, text: str, *, who: str = "", source: str = "", count: int = 1) -> None:
        """Takes note of what has happened just now."""
        with self._telling:
            new = event(self._now_ns(), kind, text, who=who, source=source, count=count)
            self._add(new)
            self._tell(new)

    def all(self) -> list[Event]:
        """The whole list, oldest first."""
        self._take_over()
        with self._lock:
            return list(self._events)

    def newest(self, limit: int, before: int | None = None) -> list[Event]:
        """So many, newest first; only those before the event with the id `before`."""
        self._take_over()
        with self._lock:
            found = [each for each in self._events if before is None or each.id < before]
        return found[-limit:][::-1]

    def write(self) -> None:
        """Writes now what has changed. What fails is tried again later."""
        self._look()
        self._take_over()
        with self._lock:
            events = self._events
        if events == self._written:
            return
        try:
            self._kept.write(_content(events))
        except OSError as error:
            if not self.problem:
                log.error("The list of events cannot be written: %s", error.strerror)
            self.problem = (
                f"The list of events cannot be written ({error.strerror}): who comes in and what is changed"
                " is lost with the next restart."
            )
        else:
            self._written, self.problem = events, ""

    def _add(self, new: Event) -> None:
        with self._lock:
            before = len(self._events), self._last_id()
            self._events = added(self._events, new)
            self.changes += 1
            is_line = (len(self._events), self._last_id()) != before
        if is_line:
            self._news.set()

    def _take_over(self) -> None:
        others = self._others()
        with self._telling:
            with self._lock:
                last_id = self._last_id()
                self._events = taken_over(self._events, others)
                new = [each for each in self._events if each.id > last_id]
            for each in new:
                if each.time_ns >= self._began_ns:
                    self._tell(each)

    def _tell(self, new: Event) -> None:
        for hear in self._followers:
            hear(new)

    def _last_id(self) -> int:
        return self._events[-1].id if self._events else 0

    def _look(self) -> None:
        """Takes in what is kept, as soon as it can be read; what was noted before that comes after it."""
        if self._read:
            return
        found = self._kept.read()
        if isinstance(found, Unreadable):
            return
        with self._lock:
            earlier = list(found.value) if isinstance(found, Value) else []
            self._written = earlier
            for each in self._events:
                earlier = added(earlier, each)
            self._events = earlier
            self._read = True

    def _run(self) -> None:
        while not self._end.is_set():
            if self._news.wait(COUNTS_S):
                self._end.wait(TOGETHER_S)
            self._news.clear()
            self.write()
        self.write()


def kept(path: Path) -> KeptFile[list[Event]]:
    """The file of the list."""
    return KeptFile(path, parsed)


def parsed(content: bytes) -> list[Event]:
    """The events of a file, oldest first; raises for what is none. Fields of a newer version are left out."""
    events: list[Event] = []
    for raw in json.loads(content):
        time_ns = _time(raw["time_ns"])
        one = event(
            time_ns,
            str(raw["kind"]),
            str(raw["text"]),
            who=str(raw.get("who", "")),
            source=str(raw.get("source", "")),
            count=int(raw.get("count", 1)),
        )
        last_ns = _time(raw.get("last_ns", time_ns))
        least = events[-1].id + 1 if events else 1
        events.append(replace(one, last_ns=last_ns, id=max(int(raw.get("id", 0)), least)))
    return events


def _time(raw: Any) -> int:
    """Brought to what can be shown as a date: one absurd line is no reason to lose the others."""
    return min(max(int(raw), 0), _LATEST_NS)


def _content(events: Sequence[Event]) -> bytes:
    lines = (json.dumps(asdict(each), ensure_ascii=False) for each in events)
    return ("[\n" + ",\n".join(lines) + "\n]\n").encode("utf-8", "surrogatepass")
