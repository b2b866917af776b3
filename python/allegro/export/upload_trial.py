"""The test upload: it goes the whole way of a capture, by the same means, and says what that will meet."""

import io
from dataclasses import replace

from allegro.export.errand import trial_errand
from allegro.export.sftp import rename
from allegro.export.sftp_client import FSYNC, SftpClient
from allegro.export.upload_part import part_name, remove_there, write_part
from allegro.export.way import Trial


def try_out(client: SftpClient, directory: str, device: str, text: str) -> Trial:
    """Writes half of the test file under a temporary name, goes on, has it checked, renames and removes.

    Raises what sending a capture would raise. A test file of before is replaced where the server removes it.
    """
    whole = trial_errand(text, directory)
    half = text.encode()[: whole.size // 2]
    beginning = replace(whole, source=io.BytesIO(half), size=len(half))
    part = whole.path(part_name(whole.name, device))
    write_part(client, beginning, part)
    removes = remove_there(client, part)
    write_part(client, beginning, part)
    written = write_part(client, whole, part)
    remove_there(client, whole.path(whole.name))
    final = rename(client, whole, part)
    notes = list(written.notes)
    if FSYNC not in client.extensions:
        notes.append("The server does not say when a file is on its disk (no fsync).")
    if not written.resumed_at:
        notes.append("An interrupted upload will begin anew: the server lets no part be read or written on.")
    if not removes:
        notes.append("The server removes nothing: parts and test files that are not needed stay there.")
    return Trial(whole.path(final), tuple(notes))
