"""What a way out of the upload queue has to do, whatever server is at its end."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from allegro.export.pace import Pace

Step = Literal["looking", "resuming", "sending", "checking", "renaming", "removing", "done"]
Progress = Callable[[Step, int, int], None]
"""Called with the step, bytes that are safely on the server, bytes of the file. May raise UploadStopped."""


@dataclass(frozen=True)
class Memory:
    """What outlives a crash: `renamed`, the final name that an earlier try was about to give, empty if none.

    `note` remembers that name, and returns when it is on disk. A server that lets nobody read its files makes
    it needed: there a file of this name and size, while the part is gone, is the one sent. So does one that
    has no temporary names. S3 adds in further lines what its upload leaves on the server if it is given up.
    """

    renamed: str = ""
    note: Callable[[str], None] = lambda name: None


NOTHING_REMEMBERED = Memory()

TEST_FILE = "allegro-upload-test.txt"


@dataclass(frozen=True)
class Sent:
    """`name` is the name on the server, which has a number if another file had the wanted name.

    `notes`: what the server refused at no cost to the file.
    """

    name: str
    size: int
    already_there: bool
    resumed_at: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """`path` of the test file, which stays on the server; `notes`: what captures will have to do without."""

    path: str
    notes: tuple[str, ...]


class Lane(Protocol):
    """One connection, by which one file goes at a time. What breaks it is told by `Way.lanes`."""

    def make_directory(self, directory: str) -> None:
        """Makes it where it is missing, with all above it. Raises FileTrouble."""

    def send(
        self,
        file: Path,
        directory: str,
        progress: Progress,
        memory: Memory,
        pace: Pace,
        dispose: Callable[[Path], None],
    ) -> Sent | None:
        """Sends `file` and disposes of it here when the server has it whole under its final name.

        None: it was deleted here meanwhile, and nothing of it stays there. What is on the server already is
        not sent again, and nothing there is overwritten. Raises FileTrouble, and what `progress` raises.
        """

    def throw_away(self, note: str) -> None:
        """Removes what the upload of which this was noted has left there: nobody goes on with it."""

    def try_out(self, directory: str, text: str) -> Trial:
        """Sends a test file with this content the whole way of a capture."""


class Way(Protocol):
    """A server, as the settings have it."""

    def lanes(self, files: int) -> AbstractContextManager[Sequence[Lane]]:
        """Connects, for so many files. Raises AllegroError, ServerTrouble for what breaks the connection."""
