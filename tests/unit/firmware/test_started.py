"""What the system notes when it has come up."""

from pathlib import Path

import pytest

from allegro.firmware import boot_state, started
from allegro.firmware.boot_state import BootState


@pytest.fixture
def command_line(tmp_path: Path) -> Path:
    path = tmp_path / "cmdline"
    path.write_text("allegro.slot=slot-b")
    return path


def test_a_lost_state_is_written_anew_with_the_running_slot(
    tmp_path: Path, command_line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = tmp_path / "boot-state"
    device.write_bytes(bytes(1 << 20))
    started.note_start(device, command_line)
    reading = boot_state.examine(device)
    assert not reading.damaged
    assert reading.state.primary == reading.state.last_good == "slot-b"
    assert "was damaged and is written anew; slot-b starts next" in capsys.readouterr().out


def test_counted_starts_begin_anew_and_a_healthy_state_is_left_alone(
    tmp_path: Path, command_line: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = tmp_path / "boot-state"
    device.write_bytes(bytes(1 << 20))
    boot_state.write(device, BootState(starts=5))
    started.note_start(device, command_line)
    assert boot_state.read(device) == BootState()
    before = device.read_bytes()
    started.note_start(device, command_line)
    assert device.read_bytes() == before
    assert capsys.readouterr().out == ""
