"""Hears of events, keeps what is to be told, and has it brought to people."""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from allegro.errors import AllegroError
from allegro.events.event import Event
from allegro.notify.courier import Courier
from allegro.notify.floods import Shares
from allegro.notify.notice import WAYS, Notice, WayName, problem_id
from allegro.notify.notice_queue import NoticeQueue, Standing, Trouble
from allegro.notify.ways_out import way_out
from allegro.notify.wording import is_of_people, is_on, notice_of, trial_notice, wanted_by
from allegro.settings.model import Settings
from allegro.system.health import Problem

IN_MEMORY = 500
"""Messages that are held while the disk does not take them; the oldest go first."""

_LOOK_EVERY_S = 5.0
"""What the disk did not take is tried again."""

_END_S = 5.0
"""So long the end waits for messages that are under way."""

_NAMES = {"mail": "e-mail", "webhook": "webhook", "syslog": "syslog"}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WayStatus:
    """How one way is. `target` without secrets, empty if it leads nowhere yet; `next_try_ns` 0: no pause."""

    name: WayName
    enabled: bool
    target: str
    standing: Standing
    next_try_ns: int
    trouble: Trouble | None


class Notifier:
    """The notifications of the device. May be called from several threads."""

    def __init__(
        self,
        path: Path,
        settings: Callable[[], Settings],
        device: Callable[[], str],
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`path` of the queue; `settings` returns those in force, `device` the host name."""
        self._queue = NoticeQueue(path)
        self._settings = settings
        self._device = device
        self._clock_ns = clock_ns
        self._heard: deque[tuple[tuple[WayName, ...], Notice]] = deque(maxlen=IN_MEMORY)
        self._shares = Shares()
        self._problem = ""
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self._couriers = {
            name: Courier(name, self._queue, lambda: settings().notifications, device, clock_ns)
            for name in WAYS
        }

    def start(self) -> None:
        """Begins to tell."""
        self._thread.start()
        for courier in self._couriers.values():
            courier.start()

    def stop(self) -> None:
        """Keeps what was heard last, and ends."""
        self._stop.set()
        self._news.set()
        self._thread.join()
        for courier in self._couriers.values():
            courier.stop()
        deadline = time.monotonic() + _END_S
        for courier in self._couriers.values():
            courier.join(max(deadline - time.monotonic(), 0))

    def hear(self, event: Event) -> None:
        """An event has happened; one call after the other. Waits for no disk, raises nothing."""
        settings = self._settings()
        if not (ways := wanted_by(event, settings.notifications)):
            return
        told = self._shares.told_as(event) if is_of_people(event) else event
        if told is not None:
            notice = notice_of(told, uuid.uuid4().hex, self._device(), settings.time.zone)
            self._heard.append((ways, notice))
            self._news.set()

    def settings_changed(self) -> None:
        """What is switched on or corrected is tried at once."""
        for courier in self._couriers.values():
            courier.wake()

    def test(self, name: WayName) -> str:
        """Sends a message right now, by the present settings; answers with what the server said.

        Raises AllegroError in plain words.
        """
        settings = self._settings()
        way = way_out(name, settings.notifications, self._device())
        notice = trial_notice(uuid.uuid4().hex, self._clock_ns(), self._device(), settings.time.zone)
        with way.connection() as send:
            taken = send(notice)
        self._couriers[name].try_at_once()
        return f"{taken.words} {taken.complaint}".rstrip()

    def status(self) -> list[WayStatus]:
        """How each way is. Raises Unavailable if the queue cannot be read."""
        settings = self._settings().notifications
        return [
            WayStatus(
                name,
                is_on(settings, name),
                self._target(name),
                self._queue.standing(name),
                courier.next_try_ns if courier.trouble else 0,
                courier.trouble,
            )
            for name, courier in self._couriers.items()
        ]

    def problems(self) -> list[Problem]:
        """What keeps people from being told."""
        found = []
        if self._queue.was_damaged:
            text = "The queue of the notifications was damaged: what waited in it is lost."
            found.append(
                Problem("notify-queue-damaged", "warning", text, "Whoever has to know: look at the log.")
            )
        unusable = [self._problem, *(each.unusable for each in self._couriers.values())]
        if any(unusable):
            text = next(filter(None, unusable))
            remedy = "What is to be told waits in memory, which a restart empties. Check the data partition."
            found.append(Problem("notify-queue", "warning", text, remedy))
        for name, courier in self._couriers.items():
            if (trouble := courier.trouble) is not None:
                text = f"Notifications by {_NAMES[name]} do not get through: {trouble.message}"
                remedy = f"{trouble.remedy} They are kept and tried again; a test shows whether it works."
                found.append(Problem(problem_id(name), "warning", text, remedy.strip()))
        return found

    def take_in(self) -> None:
        """Makes durable what was heard. What the disk does not take is held, and tried again."""
        while self._heard:
            ways, notice = self._heard.popleft()
            try:
                self._queue.add(ways, notice)
            except AllegroError as error:
                self._heard.appendleft((ways, notice))
                if not self._problem:
                    log.error("%s", error)
                self._problem = error.message
                return
            self._problem = ""
            for name in ways:
                self._couriers[name].wake()

    def _target(self, name: WayName) -> str:
        try:
            return way_out(name, self._settings().notifications, self._device()).target
        except AllegroError:
            return ""

    def _run(self) -> None:
        while not self._stop.is_set():
            self._news.wait(_LOOK_EVERY_S)
            self._news.clear()
            self._take_in_safely()
        self._take_in_safely()

    def _take_in_safely(self) -> None:
        try:
            self.take_in()
        except Exception:  # the thread has to live on
            log.exception("What is to be told cannot be kept")
