"""The folder of the packet ring on a disk that may be pulled: whose it is, and that the recorder can use it.

A ring of another device is never overwritten: the folder has a mark that says which device has made it.
"""

import contextlib
import errno
import json
import os
import pwd
import stat
from pathlib import Path
from typing import Final

from allegro.atomic import SUFFIX, write_atomically
from allegro.errors import Conflict, Unavailable

FOLDER: Final = "allegro-ring"
MARK: Final = "device.json"

_BEGUN: Final = f".{MARK}{SUFFIX}"
"""The mark of a folder that was being made when the power was cut."""

_LONGEST_MARK: Final = 4096
_MODE: Final = 0o750
_FREE_IT: Final = "Move its folder “allegro-ring” elsewhere on a computer, or format the disk."


def prepare(top: Path, system_id: str, user: str) -> None:
    """Makes the folder in `top`, where the disk is mounted, usable for the recorder, which runs as `user`.

    Raises Conflict with what speaks against that, and OSError.
    """
    if not top.stat().st_mode & stat.S_IXOTH:
        raise Conflict("Its top folder is closed to other users.", remedy="Format it.")
    folder = top / FOLDER
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=_MODE)
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise Conflict("“allegro-ring” on it is no folder.", remedy=_FREE_IT)
    check_owner(folder, system_id)
    if not all(stat.S_ISREG(path.lstat().st_mode) for path in folder.iterdir()):  # a pipe: it would wait
        raise Conflict("“allegro-ring” on it holds what is no file.", remedy=_FREE_IT)
    if _marked(folder / MARK) != system_id:
        write_atomically(folder / MARK, json.dumps({"system_id": system_id}).encode() + b"\n", mode=0o644)
    try:
        number = pwd.getpwnam(user)
    except KeyError:
        raise Unavailable(f"There is no user {user} here.") from None
    folder.chmod(_MODE)  # nobody else's business, and those of the group read it
    for path in (folder, *folder.iterdir()):  # another image may have other numbers for its users
        found = path.lstat()
        if (found.st_uid, found.st_gid) != (number.pw_uid, number.pw_gid):
            os.chown(path, number.pw_uid, number.pw_gid, follow_symlinks=False)


def check_owner(folder: Path, system_id: str) -> None:
    """Raises Conflict unless what lies in the folder is of this device, or nothing; and OSError."""
    if not system_id:
        raise Unavailable("This device has no id at the moment by which its ring could be known again.")
    made_by = _marked(folder / MARK)
    if made_by == system_id or (not made_by and all(path.name == _BEGUN for path in folder.iterdir())):
        return
    of = f"of another device ({made_by})" if made_by else "of which nobody knows whose it is"
    raise Conflict(f"A packet ring buffer {of} lies on it.", remedy=_FREE_IT)


def _marked(path: Path) -> str:
    """The system id that a mark names, printable; empty if there is none that can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return ""
        raise
    try:
        content = os.read(descriptor, _LONGEST_MARK)
        name = str(json.loads(content)["system_id"])
    except (ValueError, KeyError, TypeError):
        return ""
    finally:
        os.close(descriptor)
    return name[:64] if name.isprintable() else ""
