"""The terminals that people may look at: the monitor and the serial ports that the kernel writes to."""

import contextlib
import os
from pathlib import Path

CONSOLES = Path("/sys/class/tty/console/active")
"""The consoles of the kernel command line, e.g. "tty0 ttyS0"."""

DEVICES = Path("/dev")


def names(consoles: Path = CONSOLES) -> list[str]:
    """Names of the terminals, the monitor first, for example ["tty1", "ttyS0"]."""
    try:
        listed = consoles.read_text().split()
    except OSError:
        listed = []
    return ["tty1", *(name for name in listed if not name.removeprefix("tty").isdecimal())]


def announce(text: str, devices: Path = DEVICES, consoles: Path = CONSOLES) -> None:
    """Writes a line to all of them, for programs that run before there is a console; waits for none."""
    for name in names(consoles):
        with contextlib.suppress(OSError):
            terminal = os.open(devices / name, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.write(terminal, f"\r\n{text}\r\n".encode("ascii", "replace"))
            finally:
                os.close(terminal)
