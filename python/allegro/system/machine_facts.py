"""What the machine's own programs say of it, for support: kernel, disks, memory, cards, failed units."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

_TIMEOUT_S: Final = 10.0
_LONGEST: Final = 256 * 1024

COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "version.txt": ("cat", "/etc/os-release", "/proc/version", "/proc/cmdline"),
    "disks.txt": ("lsblk", "--output", "NAME,SIZE,TYPE,FSTYPE,MODEL,TRAN,MOUNTPOINTS"),
    "space.txt": ("df", "-h"),
    "memory.txt": ("cat", "/proc/meminfo"),
    "processor.txt": ("cat", "/proc/cpuinfo"),
    "load.txt": ("cat", "/proc/loadavg", "/proc/uptime"),
    "links.txt": ("ip", "-statistics", "link"),
    "units.txt": ("systemctl", "list-units", "--failed", "--no-pager"),
}
"""File, and the command whose output it holds. None of these shows passwords or keys."""


def machine_facts(commands: Mapping[str, Sequence[str]] = COMMANDS) -> list[tuple[str, bytes]]:
    """File name and content of each; what cannot be run says so. Raises nothing."""
    return [(file, _said(command)) for file, command in commands.items()]


def _said(command: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{' '.join(command)} failed: {error}\n".encode()
    return (done.stdout + done.stderr)[:_LONGEST]
