"""What the shortcuts on a keyboard do: the last way in for who stands in front of the device."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from allegro.errors import AllegroError, Unavailable
from allegro.trigger.chords import Shortcut
from allegro.trigger.keys import PresenterModel

log = logging.getLogger(__name__)


class Shortcuts:
    """Carries out what a shortcut stands for, each in a thread of its own: it may take a while.

    What `works` does, it tells in the status itself; it may raise AllegroError.
    """

    def __init__(self, works: Mapping[Shortcut, Callable[[], object]]) -> None:
        self._works = works

    def start(self, table: Callable[[], Sequence[PresenterModel]]) -> Callable[[], None]:
        """Reads all keyboards but the presenters of `table`. Raises Unavailable without evdev or pyudev."""
        try:
            from allegro.trigger.keyboards import shortcut_reader
        except ImportError as error:  # they come from the base system, not from PyPI
            raise Unavailable(f"the package {error.name} is missing.") from error
        reader = shortcut_reader(table, self.begin)
        reader.start()
        return reader.stop

    def begin(self, shortcut: Shortcut) -> None:
        """A shortcut was pressed."""
        work = self._works.get(shortcut)
        if work is not None:
            log.info("Shortcut: %s", shortcut)
            threading.Thread(
                target=_carry_out, args=(shortcut, work), name=f"shortcut {shortcut}", daemon=True
            ).start()


def _carry_out(shortcut: Shortcut, work: Callable[[], object]) -> None:
    try:
        work()
    except AllegroError as error:
        log.error("Shortcut %s: %s", shortcut, error)
    except Exception:
        log.exception("Shortcut %s", shortcut)
