"""Brings the messages of one way to its server, in order, and tries again what fails."""

import contextlib
import logging
import threading
from collections.abc import Callable

from allegro.errors import AllegroError
from allegro.notify.delivery import Undelivered, Way
from allegro.notify.notice import WayName
from allegro.notify.notice_queue import TOGETHER, NoticeQueue, Trouble
from allegro.notify.ways_out import way_out
from allegro.notify.wording import is_on
from allegro.retrying import is_due, next_try
from allegro.settings.notifications import Notifications
from allegro.words import SECOND_NS

LOOK_EVERY_S = 20.0
"""Besides for each new message: pauses are a minute at least."""

REFUSALS = 3
"""So many messages refused one after the other: it is not for the messages, and all wait."""

log = logging.getLogger(__name__)


class Courier:
    """One way. `settings` returns those in force, `device` the host name, `clock_ns` ns since 1970.

    A message that was handed over when the power went, before that was noted, is handed over once more.
    """

    def __init__(
        self,
        name: WayName,
        queue: NoticeQueue,
        settings: Callable[[], Notifications],
        device: Callable[[], str],
        clock_ns: Callable[[], int],
        make: Callable[[WayName, Notifications, str], Way] = way_out,
    ) -> None:
        self.name = name
        self.unusable = ""  # why the queue cannot be used
        self.trouble: Trouble | None = None  # also of before the start
        with contextlib.suppress(AllegroError):
            self.trouble = queue.trouble(name)
        self.next_try_ns = 0
        self._queue = queue
        self._settings = settings
        self._device = device
        self._clock_ns = clock_ns
        self._make = make
        self._last_try_ns = 0
        self._failures = 0
        self._known: object = None
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"notify-{name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the message that is under way. Does not wait for it: see `join`."""
        self._stop.set()
        self._wake.set()

    def join(self, timeout_s: float) -> None:
        """Waits for the end."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """There is a message, or the settings have changed."""
        self._wake.set()

    def try_at_once(self) -> None:
        """Whatever was wrong is mended: nothing pauses any more."""
        self._failures = self.next_try_ns = 0
        self._met(None)
        self._queue.release(self.name)
        self._wake.set()

    def step(self) -> None:
        """Sends what is due. Raises Unavailable if the queue cannot be used."""
        settings = self._settings()
        mine = getattr(settings, self.name), settings.certificate
        if mine != self._known:
            if self._known is not None:
                self.try_at_once()
            self._known = mine
            if not is_on(settings, self.name):
                self.trouble = None
                self._queue.withdraw(self.name)
        now_ns = self._clock_ns()
        if not is_on(settings, self.name) or not is_due(now_ns, self._last_try_ns, self.next_try_ns):
            return
        self._last_try_ns = now_ns
        try:
            self._send_due(self._make(self.name, settings, self._device()), now_ns)
        except Undelivered as error:
            self._pause(error, now_ns)

    def _send_due(self, way: Way, now_ns: int) -> None:
        due = self._queue.due(self.name, now_ns)
        if not due:
            return
        refusals = 0  # one after the other
        refused: Undelivered | None = None
        complaint = ""
        with way.connection() as send:
            for notice in due:
                if self._stop.is_set():
                    return
                try:
                    taken = send(notice)
                except Undelivered as error:
                    if not error.of_message:
                        raise
                    self._queue.refused(notice.number, now_ns)
                    refused = error
                    refusals += 1
                    if refusals == REFUSALS:
                        raise
                    continue
                self._queue.sent(self.name, notice.number, now_ns)
                log.info("Notification %s: %s", notice.id, taken.words)
                complaint = taken.complaint or complaint
                self._failures = self.next_try_ns = 0
                refusals = 0
        if refused is not None:
            self._note(refused)
        elif complaint:
            self._met(Trouble(complaint, "The other recipients have the messages."))
        else:
            self._met(None)
        if len(due) == TOGETHER:
            self._wake.set()

    def _pause(self, error: Undelivered, now_ns: int) -> None:
        self._failures += 1
        self.next_try_ns = (
            next_try(now_ns, self._failures)
            if error.pause_s is None
            else now_ns + round(error.pause_s * SECOND_NS)
        )
        self._note(error)

    def _note(self, error: Undelivered) -> None:
        place = f"{error.place}: " if error.place else ""
        self._met(Trouble(f"{place}{error.message}", error.remedy))

    def _met(self, trouble: Trouble | None) -> None:
        if trouble == self.trouble:
            return
        self.trouble = trouble
        if trouble is not None:
            log.warning("Notifications by %s: %s %s", self.name, trouble.message, trouble.remedy)
        with contextlib.suppress(AllegroError):  # the queue tells of itself
            self._queue.note_trouble(self.name, trouble)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
                self.unusable = ""
            except AllegroError as error:  # of the queue
                if error.message != self.unusable:
                    log.error("%s", error)
                self.unusable = error.message
            except Exception:
                # The thread has to live on for the next months, whatever a server answers.
                log.exception("Notifications by %s failed in an unforeseen way", self.name)
                words = "It failed in an unforeseen way; the log has the details."
                self._pause(Undelivered(words), self._clock_ns())
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()
