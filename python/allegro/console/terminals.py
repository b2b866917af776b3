"""Terminals that show lines: the monitor with its keyboard, and serial ports. None holds up the others."""

import contextlib
import errno
import fcntl
import os
import struct
import termios
from array import array
from collections.abc import Sequence
from pathlib import Path

from allegro.console.screen import Line, Style, changes
from allegro.words import harmless

USUAL_SIZE = (80, 24)
LARGEST_SIZE = (160, 60)
"""Columns, rows. A serial terminal does not tell its size."""

LARGE_FONT, SMALL_FONT = "TER16x32", "VGA8x16"
"""Fonts of the kernel (lib/fonts): the large one can be read from some metres away."""

ENOUGH = (60, 20)
"""With fewer columns or rows the small font takes over."""

# linux/kd.h: KDFONTOP, KD_FONT_OP_SET_DEFAULT and struct console_font_op on 64-bit machines
_KDFONTOP = 0x4B72
_SET_DEFAULT_FONT = 2
_FONT_OPERATION = struct.Struct("IIIIIP")

# Select Graphic Rendition, ECMA-48 8.3.117
_STYLES: dict[Style, str] = {
    "plain": "",
    "title": "1;37;44",
    "good": "1;32",
    "warning": "1;33",
    "bad": "1;37;41",
    "hint": "7",
    "code": "30;107",
}
_CLEAR = "\x1b[0m\x1b[2J"
_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
_NEVER_BLANK = "\x1b[9;0]"  # console_codes(4)


def encoded(changed: Sequence[tuple[int, Line]]) -> str:
    """Control sequences that draw lines at their rows (ECMA-48: CUP, EL, SGR)."""
    parts = []
    for row, line in changed:
        style = _STYLES[line.style]
        shown = harmless(line.text)
        if line.style != "code":
            shown = shown.encode("ascii", "replace").decode("ascii")
        text = f"\x1b[{style}m{shown}\x1b[0m" if style else shown
        parts.append(f"\x1b[{row};1H{text}\x1b[K")
    return "".join(parts)


class Terminal:
    """One terminal. What cannot be written now is drawn later, anew."""

    def __init__(self, path: Path) -> None:
        """Opens it without waiting for a line. Raises OSError."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._monitor = path.name.removeprefix("tty").isdecimal()
        self._shown: list[Line] | None = None
        self._size = (0, 0)
        with contextlib.suppress(termios.error):
            self._be_raw()

    def fileno(self) -> int:
        """For select: readable after a key."""
        return self._descriptor

    def size(self) -> tuple[int, int]:
        """Columns and rows. A monitor that has just come, or changed, gets its font first."""
        size = self._asked_size()
        if self._monitor and size != self._size:
            size = self._choose_font()
        if size != self._size:
            self._size, self._shown = size, None
        return size

    def take_keys(self) -> bytes:
        """What was typed: the screen is drawn anew. Raises OSError if the terminal is gone."""
        try:
            keys = os.read(self._descriptor, 4096)
        except BlockingIOError:
            return b""
        if not keys:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.forget()
        return keys

    def forget(self) -> None:
        """Others may have written to the screen: all of it is drawn next time."""
        self._shown = None

    def draw(self, lines: Sequence[Line]) -> None:
        """Shows lines; only what has changed is written."""
        changed = changes(self._shown, lines)
        if not changed:
            return
        text = encoded(changed)
        if self._shown is None:
            text = _CLEAR + _HIDE_CURSOR + (_NEVER_BLANK if self._monitor else "") + text
        self._shown = list(lines) if self._write(text) else None

    def close(self) -> None:
        """Leaves what it shows; the cursor goes below it."""
        self._write(f"\x1b[{max(self._size[1], 1)};1H\r\n{_SHOW_CURSOR}")
        os.close(self._descriptor)

    def _write(self, text: str) -> bool:
        """False if the terminal did not take it all: its line is slow, or gone."""
        data = text.encode()
        try:
            return os.write(self._descriptor, data) == len(data)
        except OSError:
            return False

    def _asked_size(self) -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(self._descriptor)
        except OSError:
            columns, rows = 0, 0
        if not columns or not rows:
            return USUAL_SIZE
        return min(columns, LARGEST_SIZE[0]), min(rows, LARGEST_SIZE[1])

    def _choose_font(self) -> tuple[int, int]:
        self._set_font(LARGE_FONT)
        columns, rows = self._asked_size()
        if columns < ENOUGH[0] or rows < ENOUGH[1]:
            self._set_font(SMALL_FONT)
        return self._asked_size()

    def _set_font(self, name: str) -> None:
        text = array("b", name.encode() + b"\0")
        operation = _FONT_OPERATION.pack(_SET_DEFAULT_FONT, 0, 0, 0, 0, text.buffer_info()[0])
        with contextlib.suppress(OSError):  # a monitor in text mode has the font of its card
            fcntl.ioctl(self._descriptor, _KDFONTOP, operation)

    def _be_raw(self) -> None:
        """Keys are neither shown nor gathered into lines; Ctrl-C is a key like the others (cfmakeraw)."""
        mode = termios.tcgetattr(self._descriptor)
        mode[0] &= ~(termios.IXON | termios.ICRNL | termios.BRKINT | termios.ISTRIP)
        mode[2] |= termios.CLOCAL
        mode[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
        termios.tcsetattr(self._descriptor, termios.TCSANOW, mode)
