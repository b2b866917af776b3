"""The unix socket of the REST API."""

import grp
import os
import socket
from pathlib import Path

from allegro.errors import Conflict, Unavailable

SOCKET_MODE = 0o660
WEB_GROUP = "allegro-web"
"""Group of the web page's process: besides root it alone may connect, so its word about the user counts."""

_BACKLOG = 128


def bind(path: Path) -> socket.socket:
    """A listening unix socket at `path`, for its owner and the web page's group only (0660).

    On a machine without that group, such as a developer's, it stays with the group of this process.

    One left over from a process that was killed is replaced. Raises Conflict if somebody answers there,
    Unavailable if the socket cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _answers(path):
            raise Conflict("Another supervisor is running.", place=str(path))
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        # Nobody can connect before listen, so the mode is never too wide.
        _hand_to_group(path)
        path.chmod(SOCKET_MODE)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(f"The socket cannot be made ({error.strerror}).", place=str(path)) from error
    except Conflict:
        listener.close()
        raise
    return listener


def _hand_to_group(path: Path) -> None:
    try:
        group = grp.getgrnam(WEB_GROUP).gr_gid
    except KeyError:
        return
    os.chown(path, -1, group)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
