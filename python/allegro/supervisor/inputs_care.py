"""USB inputs for the API: packages of the base system may be missing, and then nothing else fails."""

import contextlib
from collections.abc import Callable, Sequence

from allegro.api.presenters import PresenterParts
from allegro.errors import AllegroError, Unavailable
from allegro.settings.model import Settings
from allegro.trigger.beep import Player
from allegro.trigger.input_reader import ConnectedPresenter
from allegro.trigger.job import Job
from allegro.trigger.jobs import JobStore
from allegro.trigger.learning import Learner, Learning, UsbInput


class Inputs:
    """What is plugged in, and the learning of a new presenter."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._learner: Learner | None = None

    def found(self) -> Sequence[UsbInput]:
        """All USB devices with keys; none where they cannot be looked for."""
        try:
            from allegro.trigger.hid_devices import usb_inputs

            return usb_inputs()
        except (ImportError, OSError, LookupError):  # LookupError: one is being unplugged
            return ()

    def learn(self, seconds: float) -> None:
        """Waits for a key. Raises Unavailable."""
        if self._learner is None:
            try:
                from allegro.trigger.hid_devices import learner
            except ImportError as error:  # they come from the base system, not from PyPI
                raise Unavailable(f"Keys cannot be read: the package {error.name} is missing.") from error
            self._learner = learner(self._used)
        self._learner.start(seconds)

    def learning(self) -> Learning:
        """Whether a key is waited for, and what was heard."""
        return Learning(None, None) if self._learner is None else self._learner.state()

    def forget(self) -> None:
        """Waits no longer."""
        if self._learner is not None:
            self._learner.stop()

    def _used(self) -> Sequence[tuple[str, str]]:
        return [(each.vendor, each.product) for each in self._settings().trigger.presenters]


def presenter_parts(
    settings: Callable[[], Settings],
    connected: Callable[[], Sequence[ConnectedPresenter]],
    jobs: JobStore,
    player: Player,
) -> PresenterParts:
    """What the API shows and controls."""
    inputs = Inputs(settings)

    def last() -> Job | None:
        with contextlib.suppress(AllegroError):  # a list that the disk does not give is told elsewhere
            return jobs.last_press()
        return None

    return PresenterParts(
        settings=settings,
        connected=connected,
        inputs=inputs.found,
        learn=inputs.learn,
        forget=inputs.forget,
        learning=inputs.learning,
        last=last,
        player=player,
    )
