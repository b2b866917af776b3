"""Who the device is: its system id and its host name."""

import errno
import re
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

from allegro.keeping import KeptFile, Unreadable, Value

PREFIX = "allegro-mm"


@dataclass(frozen=True)
class Identity:
    """Who the device is: system id (empty if it could not be kept), firmware version, host name."""

    system_id: str
    firmware: str

    @property
    def name(self) -> str:
        """The host name; it can change, with the settings and with the first management port."""
        return socket.gethostname()

    def facts(self) -> dict[str, str]:
        """What each exported file says about the device."""
        return {"device": self.name, "system_id": self.system_id, "firmware": self.firmware}


def system_id(path: Path) -> str:
    """The id of this installation (random UUID, RFC 9562 version 4): made at first use, then kept in `path`.

    A file that does not hold an id, with no copy that does, is replaced. If it cannot be read or written
    (OSError), the caller is told, because an id that changes at every start is none.
    """
    file = kept(path)
    match file.read():
        case Value(value):
            return value
        case Unreadable(reason, number) if number != errno.ENOENT:
            raise OSError(number, reason, str(path))
    made = str(uuid.uuid4())
    path.parent.mkdir(parents=True, exist_ok=True)
    file.write(made.encode() + b"\n")
    return made


def kept(path: Path) -> KeptFile[str]:
    """The file of the system id."""
    return KeptFile(path, lambda content: str(uuid.UUID(content.decode("ascii").strip())), mode=0o644)


def host_name(management_mac: str) -> str:
    """Host name `allegro-mm-xxxx`: the last four hex digits of the management port's MAC address.

    `management_mac` is written as in /sys/class/net/*/address; without one the name has no number.
    """
    digits = re.sub(r"[^0-9a-f]", "", management_mac.lower())
    return f"{PREFIX}-{digits[-4:]}" if len(digits) == 12 else PREFIX


def set_host_name(wanted: str, management_mac: str) -> None:
    """Gives the device the host name `wanted`; without one that of `host_name`. Raises OSError."""
    name = wanted or host_name(management_mac)
    if socket.gethostname() != name:
        socket.sethostname(name)
