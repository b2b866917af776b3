"""How a finished capture gets its final name, exactly once, whenever the power is cut.

The extraction writes `.job-<id>.pcapng`, of a row of the filter table `.job-<id>-<row>.pcapng` (by way of
`..job-<id>.pcapng.partial`), whatever its format, so that release 0.1.0 finds it, into the directory where
the file will be; names that begin with a dot are neither listed nor uploaded. Then, in this order:

1. the row says `file` = final name, `directory`, size, packets (still in state cutting),
2. the hidden file is renamed to the final name, never over another file (renameat2, RENAME_NOREPLACE),
directory fsync,
3. the row says complete.

What a restart finds for a job that is not in an end state, and what it does:

- no hidden file, `file` empty: cut before step 1. Leftover partial removed, extraction done (again).
- hidden file, `file` empty: the extraction was complete, the row did not know yet. Goes on with step 1; it is
not
  extracted again, because the ring may have moved on meanwhile. The packet count stays unknown.
- hidden file, `file` set: cut between 1 and 2. Goes on with step 2.
- no hidden file, `file` set: cut between 2 and 3. Complete, whether the file is there or was already uploaded
or deleted.

The text beside a file is written behind step 2. One that is missing then has the notes that the row knows.
"""

import contextlib
import errno
import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from allegro.atomic import rename_without_replacing, write_atomically
from allegro.capture.extraction.shape import Shape
from allegro.trigger.names import SUFFIX

TEXT_SUFFIX = ".txt"

_TEXT_MODE = 0o640  # as that of captures

log = logging.getLogger(__name__)

_HIDDEN = re.compile(rf"\.job-(\d+)(?:-\d+)?{re.escape(SUFFIX)}")

T = TypeVar("T")


def hidden_path(directory: Path, job_id: int, row: int | None = None) -> Path:
    """Where the extraction of a job, or of a row of it, puts its file before it gets its name."""
    return directory / f".job-{job_id}{f'-{row}' if row is not None else ''}{SUFFIX}"


def discard(directory: Path, job_id: int, row: int | None = None) -> None:
    """Removes what the extraction of a job, or of a row of it, has left in `directory`."""
    hidden_path(directory, job_id, row).unlink(missing_ok=True)
    _partial_path(directory, job_id, row).unlink(missing_ok=True)


def written(directory: Path, job_id: int, row: int) -> int:
    """Bytes of the disk that the file of a row takes, which is not complete yet; 0 if there is none."""
    try:
        return _partial_path(directory, job_id, row).stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def _partial_path(directory: Path, job_id: int, row: int | None) -> Path:
    hidden = hidden_path(directory, job_id, row)
    return hidden.with_name(f".{hidden.name}.partial")


def give_name(
    hidden: Path, name: str, unused: Callable[[], str], note: Callable[[str], T | None]
) -> T | None:
    """Gives a hidden file its name: that which it was to have, or one that is `unused`.

    `note` keeps the name before it is given; if it answers None, nobody wants the file any more, and it is
    removed. Answers with what `note` did.
    """
    name = name or unused()
    while True:
        noted = note(name)
        if noted is None:
            hidden.unlink(missing_ok=True)
            return None
        try:
            rename_without_replacing(hidden, hidden.with_name(name))
            return noted
        except FileExistsError:
            name = unused()


def write_beside(file: Path, text: str) -> None:
    """Puts the text of a file whose format has no place for it beside it, as `<its name>.txt`.

    It replaces no file, and an empty one is left out. The capture is whole without it, and the list of
    captures has the same notes: a disk that refuses the text fails nothing.
    """
    beside = file.with_name(file.name + TEXT_SUFFIX)
    if not text or os.path.lexists(beside):
        return
    try:
        write_atomically(beside, f"{text}\n".encode(), mode=_TEXT_MODE)
    except OSError as error:
        log.warning("%s cannot be written: %s", beside.name, error)


def words_left(message: str, shape: Shape) -> str:
    """What stands beside a file of which no more than these notes is known, as the program ended then."""
    return f"note: {message}" if shape.classic and message else ""


def remove_leftovers(directories: Iterable[Path], unfinished: Iterable[int]) -> list[str]:
    """Removes partial files, and hidden ones of jobs that are not `unfinished`. Returns their names."""
    wanted = set(unfinished)
    removed: list[str] = []
    for directory in directories:
        try:
            entries = sorted(directory.iterdir())
        except OSError:  # not there, or its disk is not well: nothing can be tidied
            continue
        for entry in entries:
            hidden = _HIDDEN.fullmatch(entry.name)
            partial = entry.name.startswith(".") and entry.name.endswith(".partial")
            if partial or (hidden is not None and int(hidden[1]) not in wanted):
                with contextlib.suppress(OSError):
                    entry.unlink(missing_ok=True)
                    removed.append(entry.name)
    return removed


def is_no_space(error: OSError) -> bool:
    """Whether the disk, or the user's part of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
