"""The test upload: it goes the whole way of a capture, by the same means, and says what that will meet."""

import io
import posixpath
from dataclasses import dataclass

from allegro.export.client import FSYNC, SftpClient
from allegro.export.parts import part_name, remove_there, write_part
from allegro.export.sftp import Errand, rename

TEST_FILE = "allegro-upload-test.txt"


@dataclass(frozen=True)
class Trial:
    """`path` of the test file, which stays on the server; `notes`: what captures will have to do without."""

    path: str
    notes: tuple[str, ...]


def try_out(client: SftpClient, directory: str, device: str, text: str) -> Trial:
    """Writes half of the test file under a temporary name, goes on, has it checked, renames and removes.

    Raises what sending a capture would raise. A test file of before is replaced where the server removes it.
    """
    content = text.encode()
    part = posixpath.join(directory, part_name(TEST_FILE, device))
    half = content[: len(content) // 2]
    write_part(client, io.BytesIO(half), len(half), part, _nobody_looks)
    removes = remove_there(client, part)
    write_part(client, io.BytesIO(half), len(half), part, _nobody_looks)
    written = write_part(client, io.BytesIO(content), len(content), part, _nobody_looks)
    remove_there(client, posixpath.join(directory, TEST_FILE))
    final = rename(client, Errand(io.BytesIO(content), len(content), TEST_FILE, directory, part))
    notes = list(written.notes)
    if FSYNC not in client.extensions:
        notes.append("The server does not say when a file is on its disk (no fsync).")
    if not written.resumed_at:
        notes.append("An interrupted upload will begin anew: the server lets no part be read or written on.")
    if not removes:
        notes.append("The server removes nothing: parts and test files that are not needed stay there.")
    return Trial(posixpath.join(directory, final), tuple(notes))


def _nobody_looks(step: str, done: int, size: int) -> None:
    """Progress of a file that is sent in one go."""
