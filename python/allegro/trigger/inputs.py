"""What the readers need of input devices: one that is opened, and word of those that come and go."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from allegro.trigger.keys import RawEvent

Found_co = TypeVar("Found_co", covariant=True)


class Input(Protocol):
    """An opened input device."""

    def fileno(self) -> int:
        """For select."""

    def read(self) -> list[RawEvent]:
        """What has come in since the last time. Raises OSError when the device is gone."""

    def close(self) -> None:
        """Closes it; a grab ends with it."""


class Inputs(Protocol[Found_co]):
    """Says that input devices came or went, and which ones there are."""

    def fileno(self) -> int:
        """For select: readable after a change."""

    def clear(self) -> None:
        """Takes note of all changes so far."""

    def find(self) -> Iterable[Found_co]:
        """All that are wanted, now."""
