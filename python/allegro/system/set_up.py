"""How far the set-up of this device is, kept from one start to the next."""

import json
import threading
from pathlib import Path
from typing import get_args

from allegro.errors import Unavailable
from allegro.first_steps import Place
from allegro.keeping import KeptFile, Value


class SetUp:
    """One note in a file. For use from several threads."""

    def __init__(self, path: Path) -> None:
        self._file = KeptFile(path, _parsed, passing=True)
        self._lock = threading.Lock()

    def place(self) -> Place:
        """Where it is. A device without a note, such as one that an older version has set up, has not begun.

        So has one whose note makes no sense: the set-up is an offer, and bothers nobody.
        """
        found = self._file.read()
        return found.value if isinstance(found, Value) else "not-begun"

    def go(self, place: Place) -> None:
        """Goes on there from now on. Raises Unavailable."""
        try:
            with self._lock:
                self._file.write(json.dumps({"step": place}).encode() + b"\n")
        except OSError as error:
            raise Unavailable(
                f"How far the set-up is could not be kept: {error.strerror}.",
                remedy="Everything can be set on the pages of the menu, too.",
            ) from error


def _parsed(content: bytes) -> Place:
    step: Place = json.loads(content)["step"]
    if step not in get_args(Place):
        raise ValueError("is no step")
    return step
