"""Terminals as pseudo-terminals (pty(7)): what the console writes, read back from the other end."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.console.screen import Line
from allegro.console.terminals import USUAL_SIZE, Terminal, encoded


@pytest.fixture
def ends() -> Iterator[tuple[int, Terminal]]:
    outer, inner = pty.openpty()
    terminal = Terminal(Path(os.ttyname(inner)))
    os.set_blocking(outer, False)
    yield outer, terminal
    os.close(outer)
    os.close(inner)


def said(outer: int) -> str:
    try:
        return os.read(outer, 65536).decode()
    except BlockingIOError:
        return ""


def test_draws_the_whole_screen_once_and_then_what_changes(ends: tuple[int, Terminal]) -> None:
    outer, terminal = ends
    terminal.draw([Line("one"), Line("two", "bad")])
    assert "\x1b[2J" in (shown := said(outer))
    assert "\x1b[1;1Hone\x1b[K\x1b[2;1H\x1b[1;37;41mtwo\x1b[0m\x1b[K" in shown
    terminal.draw([Line("one"), Line("two", "bad")])
    assert said(outer) == ""
    terminal.draw([Line("one"), Line("2")])
    assert said(outer) == "\x1b[2;1H2\x1b[K"


def test_a_key_draws_the_whole_screen_anew(ends: tuple[int, Terminal]) -> None:
    outer, terminal = ends
    terminal.draw([Line("one")])
    said(outer)
    terminal.take_keys()
    terminal.draw([Line("one")])
    assert said(outer) == ""
    os.write(outer, b"x")
    terminal.take_keys()
    terminal.draw([Line("one")])
    assert "\x1b[2J" in said(outer)


def test_only_codes_are_more_than_ascii(ends: tuple[int, Terminal]) -> None:
    outer, terminal = ends
    terminal.draw([Line("Bür\u2588o"), Line("\u2588\u2580 ", "code")])
    shown = said(outer)
    assert "B?r?o" in shown
    assert "\x1b[30;107m\u2588\u2580 \x1b[0m" in shown
    os.write(outer, b"q")
    assert terminal.take_keys() == b"q"


def test_what_a_slow_line_did_not_take_is_drawn_anew(ends: tuple[int, Terminal]) -> None:
    outer, terminal = ends
    lines = [Line("x" * 100)] * 1000
    terminal.draw(lines)  # more than the buffer of a terminal holds
    while said(outer):
        pass
    terminal.draw([Line("one")])
    assert "\x1b[2J" in said(outer)


def test_a_terminal_that_is_gone_is_told() -> None:
    outer, inner = pty.openpty()
    terminal = Terminal(Path(os.ttyname(inner)))
    os.close(inner)
    os.close(outer)
    with pytest.raises(OSError, match="Input/output"):
        terminal.take_keys()
    terminal.draw([Line("one")])  # does no harm
    terminal.close()


def test_size_is_that_of_the_terminal_or_the_usual_one(ends: tuple[int, Terminal]) -> None:
    outer, terminal = ends
    assert terminal.size() == USUAL_SIZE
    terminal.draw([Line("one")])
    said(outer)
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    assert terminal.size() == (100, 30)
    terminal.draw([Line("one")])
    assert "\x1b[2J" in said(outer)


def test_keys_are_not_shown_and_end_nothing(ends: tuple[int, Terminal]) -> None:
    outer, _ = ends
    os.write(outer, b"R\x03")
    assert said(outer) == ""


def test_what_is_no_ascii_does_no_harm() -> None:
    assert encoded([(3, Line("Größe"))]).encode("ascii", "replace") == b"\x1b[3;1HGr??e\x1b[K"


@pytest.mark.spec("S7")
def test_no_text_of_others_controls_the_terminal() -> None:
    drawn = encoded([(3, Line("The server said: \x1b[2J\x07\r\n\x9b2J\x7f", "bad"))])
    assert drawn == "\x1b[3;1H\x1b[1;37;41mThe server said: ?[2J????2J?\x1b[0m\x1b[K"
