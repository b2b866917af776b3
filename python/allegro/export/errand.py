"""One file on its way to a server: what is to be sent, and the frame around it, whatever way out it takes."""

import hashlib
import io
import os
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from allegro.export.failures import storage_trouble
from allegro.export.pace import Pace
from allegro.export.way import NOTHING_REMEMBERED, TEST_FILE, Memory, Progress, Sent, Step
from allegro.storage.capture_files import NAME_MAX, shortened


def _nobody_looks(step: Step, done: int, size: int) -> None:
    """Progress of what is sent in one go."""


@dataclass(frozen=True)
class Errand:
    """`source` has `size` bytes, and is to be `name` in `directory` of the server."""

    source: BinaryIO
    size: int
    name: str
    directory: str
    progress: Progress = _nobody_looks
    memory: Memory = NOTHING_REMEMBERED
    pace: Pace = field(default_factory=Pace)

    def path(self, name: str) -> str:
        """Of this name in the directory."""
        return posixpath.join(self.directory, name)

    def tell(self, step: Step, done: int | None = None) -> None:
        """The step, and how many bytes are safely on the server (none told: all). Raises what is answered."""
        self.progress(step, self.size if done is None else done, self.size)

    def telling(self, step: Step, done: int | None = None) -> Callable[[], None]:
        """`tell`, for whoever has more than one reason to call it."""
        return partial(self.tell, step, done)

    def read(self, length: int) -> bytes:
        """The next bytes of the file on the device. Raises FileTrouble."""
        try:
            return self.source.read(length)
        except OSError as error:
            raise storage_trouble("read from", self.source.name, error) from error


def hidden_name(name: str, ending: str) -> str:
    """A temporary name on the server. Of one that is too long for that, its beginning and a hash."""
    whole = f".{name}{ending}"
    if len(os.fsencode(whole)) <= NAME_MAX:
        return whole
    ending = f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}{ending}"
    return "." + shortened(name, NAME_MAX - 1 - len(os.fsencode(ending))) + ending


def trial_errand(text: str, directory: str) -> Errand:
    """The test file with this content."""
    content = text.encode()
    return Errand(io.BytesIO(content), len(content), TEST_FILE, directory)


Bring = Callable[[Errand, Callable[[], bool]], Sent | None]
"""Has the server have the file whole under its final name; None if it is no longer here, which the second
argument tells, and nothing of it stays there."""


def carry_out(
    file: Path,
    directory: str,
    progress: Progress,
    memory: Memory,
    pace: Pace,
    dispose: Callable[[Path], None],
    bring: Bring,
) -> Sent | None:
    """Has `file` brought, and only then disposed of here: the frame of `Lane.send`."""
    try:
        source = file.open("rb")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_trouble("read from", file, error) from error
    with source:
        size = source.seek(0, io.SEEK_END)
        errand = Errand(source, size, file.name, directory, progress, memory, pace)
        errand.tell("looking", 0)
        sent = bring(errand, file.exists)
        if sent is None:
            return None
        errand.tell("removing")
        try:
            dispose(file)
        except OSError as error:
            raise storage_trouble("removed from", file, error) from error
        errand.tell("done")
        return sent
