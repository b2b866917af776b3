"""The system's log, as systemd's journal keeps it since the last start."""

import json
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from allegro.errors import Unavailable

Level = Literal["error", "warning", "info"]
Choice = Literal["error", "warning", "device", "info"]
"""What is shown: what is so important, or more; `device`: the device's own programs, and all warnings."""

CHOICES: tuple[Choice, ...] = get_args(Choice)

MOST = 5000
"""Entries that are read at once, at most."""

OWN_UNITS = (
    *("prepare", "recorder", "supervisor", "web", "console", "confirm", "started"),
    *("wifi-access-point", "wifi-client", "wifi-dhcp", "disk-health"),
)
"""Units of the device's own programs, allegro-….service, that run while the system does."""

_TIMEOUT_S = 30.0
# journalctl(1), --priority: everything at least so important; numbers of syslog (RFC 5424, 6.2.1).
_PRIORITY = {"error": 3, "warning": 4, "info": 6}

# Matches of different fields go together, those of one are alternatives, + joins groups (journalctl(1)).
_OWN = (
    *(f"PRIORITY={each}" for each in range(_PRIORITY["warning"] + 1)),
    "+",
    *(f"_SYSTEMD_UNIT=allegro-{each}.service" for each in OWN_UNITS),
)


@dataclass(frozen=True)
class Entry:
    """One message: when (ns since 1970), how important, by which program, what."""

    time_ns: int
    level: Level
    program: str
    text: str


def read(count: int, level: Choice, run: Callable[[Sequence[str]], bytes] | None = None) -> list[Entry]:
    """The newest `count` messages (1..MOST) of a choice, oldest first.

    `run` starts a program and returns what it prints. Raises Unavailable.
    """
    command = (
        "journalctl",
        "--boot",
        "--quiet",
        "--output=json",
        "--output-fields=PRIORITY,SYSLOG_IDENTIFIER,_COMM,MESSAGE",
        f"--priority={_PRIORITY['info' if level == 'device' else level]}",
        f"--lines={count}",
        *(_OWN if level == "device" else ()),
    )
    try:
        printed = (run or _output)(command)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(
            "The log cannot be read.", remedy="Try again; if this message stays, restart the device."
        ) from error
    return list(entries(printed.splitlines()))


def entries(lines: Iterable[bytes]) -> Iterable[Entry]:
    """The messages of JSON lines (systemd: docs/JOURNAL_EXPORT_FORMATS.md); what is none is left out."""
    for line in lines:
        try:
            fields = json.loads(line)
            yield Entry(
                time_ns=int(fields["__REALTIME_TIMESTAMP"]) * 1000,
                level=_level(int(fields.get("PRIORITY", _PRIORITY["info"]))),
                program=_text(fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM") or ""),
                text=_text(fields.get("MESSAGE") or ""),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


def _level(priority: int) -> Level:
    if priority <= _PRIORITY["error"]:
        return "error"
    return "warning" if priority == _PRIORITY["warning"] else "info"


def _text(value: Any) -> str:
    """A field: text, or its bytes as numbers where it is not UTF-8, or a list of either."""
    if isinstance(value, list):
        if all(isinstance(byte, int) for byte in value):
            return bytes(value).decode(errors="replace")
        return " ".join(_text(each) for each in value)
    return str(value)


def _output(command: Sequence[str]) -> bytes:
    return subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=True).stdout
