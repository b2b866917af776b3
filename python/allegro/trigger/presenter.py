"""Input devices of presenters by way of evdev (package python3-evdev of the base system)."""

import fcntl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final

import evdev

from allegro.trigger.devices import InputDevices
from allegro.trigger.keys import PresenterModel, RawEvent
from allegro.trigger.press import Press
from allegro.trigger.reader import PresenterReader

# _IOW('E', 0xa0, int) of Linux include/uapi/linux/input.h
_EVIOCSCLOCKID: Final = 0x400445A0


class EvdevSource:
    """An opened device: its events go to this program only, their times are CLOCK_REALTIME."""

    def __init__(self, node: str) -> None:
        """Raises OSError (EBUSY if another program has grabbed it)."""
        self._device = evdev.InputDevice(node)
        try:
            self._device.grab()
            fcntl.ioctl(self._device.fd, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_REALTIME))
        except OSError:
            self._device.close()
            raise

    def fileno(self) -> int:
        """For select."""
        return int(self._device.fd)

    def read(self) -> list[RawEvent]:
        """What has come in. Raises OSError: EAGAIN when there is nothing, ENODEV when it was unplugged."""
        return [
            RawEvent(event.sec * 1_000_000_000 + event.usec * 1000, event.type, event.code, event.value)
            for event in self._device.read()
        ]

    def close(self) -> None:
        """Releases the device; the kernel ends the grab with it."""
        self._device.close()


def presenter_reader(
    table: Callable[[], Sequence[PresenterModel]],
    debounce_ms: Callable[[], int],
    on_press: Callable[[Press], None],
) -> PresenterReader:
    """A reader for the presenters of `table`; `table` and `debounce_ms` are asked anew each time."""
    return PresenterReader(InputDevices(table), EvdevSource, debounce_ms, on_press)
