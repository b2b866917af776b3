import os
import pty
from pathlib import Path

import pytest

from allegro.system import consoles


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("tty0 ttyS0\n", ["tty1", "ttyS0"]),
        ("ttyS1 tty0 hvc0", ["tty1", "ttyS1", "hvc0"]),
        (None, ["tty1"]),
    ],
)
def test_monitor_and_all_serial_consoles_of_the_kernel(
    tmp_path: Path, listed: str | None, expected: list[str]
) -> None:
    if listed is not None:
        (tmp_path / "active").write_text(listed)
    assert consoles.names(tmp_path / "active") == expected


def test_announce_reaches_every_terminal_that_is_there(tmp_path: Path) -> None:
    outer, inner = pty.openpty()
    (tmp_path / "active").write_text("tty0 ttyS0")
    (tmp_path / "ttyS0").symlink_to(os.ttyname(inner))  # there is no tty1
    consoles.announce("Reset.", tmp_path, tmp_path / "active")
    assert os.read(outer, 100).split() == [b"Reset."]
    os.close(outer)
    os.close(inner)
