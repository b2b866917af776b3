"""Whether the data partition can be used."""

import os
from pathlib import Path


def data_problem(data: Path) -> str:
    """What is wrong with the data partition, in plain words that follow a colon; empty if it can be written.

    Without a partition mounted there, the folder belongs to the read-only root file system (statvfs(3)).
    """
    try:
        read_only = os.statvfs(data).f_flag & os.ST_RDONLY
    except OSError as error:
        return f"it does not answer ({error.strerror})."
    if not read_only:
        return ""
    if data.is_mount():
        return "it is read-only, as after an error of the disk or of its file system."
    return "it is missing or could not be mounted."
