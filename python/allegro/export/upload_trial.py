"""The test upload: it goes the whole way of a capture, by the same means, and says what that will meet."""

import io
import posixpath
from dataclasses import replace

from allegro.export.sftp import rename
from allegro.export.sftp_client import FSYNC, SftpClient
from allegro.export.upload_part import Errand, part_name, remove_there, write_part
from allegro.export.way import TEST_FILE, Trial


def try_out(client: SftpClient, directory: str, device: str, text: str) -> Trial:
    """Writes half of the test file under a temporary name, goes on, has it checked, renames and removes.

    Raises what sending a capture would raise. A test file of before is replaced where the server removes it.
    """
    content = text.encode()
    half = content[: len(content) // 2]
    part = posixpath.join(directory, part_name(TEST_FILE, device))
    whole = Errand(io.BytesIO(content), len(content), TEST_FILE, directory, part)
    beginning = replace(whole, source=io.BytesIO(half), size=len(half))
    write_part(client, beginning, _nobody_looks)
    removes = remove_there(client, part)
    write_part(client, beginning, _nobody_looks)
    written = write_part(client, whole, _nobody_looks)
    remove_there(client, posixpath.join(directory, TEST_FILE))
    final = rename(client, whole)
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
