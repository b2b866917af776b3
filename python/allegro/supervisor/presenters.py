"""The presenter reader as a part of the supervisor."""

from collections.abc import Callable, Sequence

from allegro.errors import Unavailable
from allegro.settings.settings_file import SettingsStore
from allegro.trigger.input_reader import ConnectedPresenter, PresenterReader
from allegro.trigger.keys import models
from allegro.trigger.press import Press


class Presenters:
    """The presenter reader, if it could be started: it needs packages and devices that may be missing."""

    def __init__(self, settings: SettingsStore, on_presses: Callable[[Sequence[Press]], None]) -> None:
        self._settings = settings
        self._on_presses = on_presses
        self._reader: PresenterReader | None = None

    def start(self) -> Callable[[], None]:
        """Starts to read presenters. Raises Unavailable without evdev or pyudev, OSError without udev."""
        try:
            from allegro.trigger.presenter import presenter_reader
        except ImportError as error:  # they come from the base system, not from PyPI
            raise Unavailable(f"the package {error.name} is missing.") from error
        reader = presenter_reader(
            lambda: models(self._settings.current.trigger.presenters),
            lambda: self._settings.current.trigger.debounce_ms,
            self._on_presses,
        )
        reader.start()
        self._reader = reader
        return reader.stop

    def refresh(self) -> None:
        """The table of known presenters has changed."""
        if self._reader is not None:
            self._reader.refresh()

    def hung(self) -> bool:
        """Whether presses are not read any more, though they were."""
        return self._reader is not None and self._reader.hung()

    def connected(self) -> Sequence[ConnectedPresenter]:
        """The presenters that are plugged in."""
        return self._reader.connected() if self._reader is not None else ()
