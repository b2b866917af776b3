"""Which lines of the log somebody would have to explain."""

from typing import get_args

import pytest

from allegro.system.journal import Entry, Level
from tests.harness.log_lines import Explained, unexplained

PULLED = Explained("kernel", r"sd \S+: \[sd\w\] Synchronize Cache\(10\) failed: .*", "a disk was pulled out")


def line(text: str, program: str = "kernel", level: Level = "warning") -> Entry:
    return Entry(1, level, program, text)


def test_warnings_errors_and_tracebacks_are_told_once() -> None:
    lines = [
        line("All is well.", "allegro-web", "info"),
        line("Something is wrong.", "allegro-web"),
        line("It failed.", "allegro-web", "error"),
        line("Something is wrong.", "allegro-web"),
        line("Traceback (most recent call last):", "allegro-supervisor", "info"),
    ]
    assert unexplained(lines, [PULLED]) == [
        "allegro-web (warning): Something is wrong.",
        "allegro-web (error): It failed.",
        "allegro-supervisor (info): Traceback (most recent call last):",
    ]


@pytest.mark.parametrize("level", get_args(Level))
def test_only_the_whole_text_of_that_program_is_explained(level: Level) -> None:
    text = "sd 4:0:0:0: [sda] Synchronize Cache(10) failed: Result: hostbyte=DID_ERROR"
    assert unexplained([line(text, level=level)], [PULLED]) == []
    if level != "info":
        assert unexplained([line(f"x{text}", level=level)], [PULLED]) != []
        assert unexplained([line(text, "allegro-web", level)], [PULLED]) != []
