"""From where packets are looked at: a finished capture, or a window of the ring, which is cut out for it."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from allegro.capture.extraction.contract import Request
from allegro.capture.extraction.shape import Shape
from allegro.errors import InvalidInput, NotFound, Unavailable
from allegro.trigger.extraction import Extractions, ExtractionStopped
from allegro.trigger.service import ring_problem
from allegro.trigger.surroundings import Surroundings

LARGEST_MIB: Final = 16
"""What is cut out of the ring lies in memory, until a dissector has taken its packets."""

_CUT_S: Final = 40.0


@dataclass(frozen=True)
class FileSource:
    """A finished capture. `identity` is of its content: another file of the same name has another one. The
    first `skip` packets that pass the filter are left out."""

    name: str
    path: Path
    identity: tuple[int, ...]
    filter: str = ""
    skip: int = 0

    @property
    def words(self) -> str:
        """What it is called in messages."""
        return self.name


@dataclass(frozen=True)
class WindowSource:
    """A window of the ring; ns since 1970, both included. `skip` as of a file."""

    start_ns: int
    end_ns: int
    filter: str = ""
    skip: int = 0

    @property
    def words(self) -> str:
        """What it is called in messages."""
        return "this part of the ring"


Source = FileSource | WindowSource


def file_source(name: str, path: Path, filter_text: str, skip: int = 0) -> FileSource:
    """The file as it is now. Raises NotFound."""
    try:
        about = path.stat()
    except OSError as error:
        raise NotFound(f"There is no file {name}.", place="file") from error
    identity = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
    return FileSource(name, path, identity, filter_text, skip)


@dataclass(frozen=True)
class Capture:
    """A capture that is open, as `descriptor`. `program` says which of its packets are wanted (empty: all),
    `more` that the ring has further ones, `notes` what is missing, in sentences."""

    descriptor: int
    program: bytes = b""
    more: bool = False
    notes: Sequence[str] = ()


class PacketSources:
    """Opens them. `folder` is in memory, and nobody else's. May be called from any thread."""

    def __init__(self, around: Surroundings, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._around = around
        self._folder = folder
        self._now = now
        self._extractions = Extractions(around.command)
        self._numbers = itertools.count(1)

    @contextlib.contextmanager
    def open(self, source: Source) -> Iterator[Capture]:
        """Raises InvalidInput for a mistake in the filter, NotFound, Unavailable, ExtractionFailed."""
        text, program = self._translated(source)
        if isinstance(source, FileSource):
            with _opened(source.path, source.name) as descriptor:
                yield Capture(descriptor, program)
        else:
            with self._cut(source, text, program) as capture:
                yield capture

    def _translated(self, source: Source) -> tuple[str, bytes]:
        if not source.filter.strip():
            return "", b""
        from allegro.filters.translate import translated  # with the first filter: a start does not need it

        # A file may be of other ports than there are now.
        ports = None if isinstance(source, FileSource) else tuple(self._around.ports()) or None
        try:
            return translated(source.filter, ports, self._around.groups())
        except InvalidInput as error:
            error.place = "filter"
            raise

    @contextlib.contextmanager
    def _cut(self, source: WindowSource, text: str, program: bytes) -> Iterator[Capture]:
        if problem := ring_problem(self._around.recorder(), self._around.ring_now()):
            raise Unavailable(problem, remedy="The status of the device says what to do.")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        output = self._folder / f"{next(self._numbers)}.pcapng"
        until = self._now() + _CUT_S
        request = Request(
            ring_directory=self._around.ring_now(),
            start_ns=source.start_ns,
            end_ns=source.end_ns,
            output=output,
            ports=tuple(self._around.ports()),
            status_file=self._around.recorder_status,
            filter=text,
            program=program,
            shape=Shape(size_limit_mib=LARGEST_MIB),
        )
        try:
            output.unlink(missing_ok=True)  # of a supervisor that was killed
            result = self._extractions.run(
                request, lambda _: None, lambda: "late" if self._now() > until else ""
            )
            with _opened(output, "this part of the ring") as descriptor:
                output.unlink()
                yield Capture(descriptor, more=result.limited, notes=tuple(result.notes))
        except ExtractionStopped:
            raise Unavailable(
                f"Finding these packets takes longer than {_CUT_S:.0f} s.",
                remedy="Choose a shorter time, or capture it as a file.",
            ) from None
        finally:
            output.unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(path: Path, name: str) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no file {name}.", place="file") from None
    except OSError as error:
        raise Unavailable(f"{name} cannot be read ({error.strerror}).") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
