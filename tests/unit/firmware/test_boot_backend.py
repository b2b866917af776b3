"""What RAUC asks of the boot loader, and what becomes of it."""

from pathlib import Path

import pytest

from allegro.errors import InvalidInput
from allegro.firmware import boot_backend, boot_state
from allegro.firmware.boot_backend import answer
from allegro.firmware.boot_state import PROVEN, TO_BE_TRIED, BootState


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "boot-state"
    path.write_bytes(bytes(1 << 20))
    boot_state.write(path, BootState())
    return path


def test_an_installation_as_rauc_does_it(device: Path) -> None:
    assert answer(["get-primary"], device) == "slot-a"
    assert answer(["get-state", "slot-b"], device) == "bad"
    assert answer(["set-state", "slot-b", "bad"], device) == ""
    assert answer(["set-primary", "slot-b"], device) == ""
    assert boot_state.read(device) == BootState(primary="slot-b", slot_b=TO_BE_TRIED)
    assert answer(["get-primary"], device) == "slot-b"
    assert answer(["get-state", "slot-b"], device) == "good"
    answer(["set-state", "slot-b", "good"], device)
    assert boot_state.read(device) == BootState(primary="slot-b", slot_b=PROVEN, last_good="slot-b")


def test_a_primary_slot_that_is_used_up_is_not_primary_any_more(device: Path) -> None:
    boot_state.write(device, BootState(primary="slot-b"))
    assert answer(["get-primary"], device) == "slot-a"


def test_the_factory_version_can_be_read_but_not_changed(device: Path) -> None:
    assert answer(["get-state", "factory"], device) == "good"
    for command in (["set-primary", "factory"], ["set-state", "factory", "bad"]):
        with pytest.raises(InvalidInput, match="factory version is never changed"):
            answer(command, device)


@pytest.mark.parametrize("command", [[], ["get-state", "slot-c"], ["set-state", "slot-a", "fine"], ["help"]])
def test_what_is_not_understood_is_refused_and_changes_nothing(device: Path, command: list[str]) -> None:
    before = device.read_bytes()
    with pytest.raises(InvalidInput):
        answer(command, device)
    assert device.read_bytes() == before


def test_the_program_prints_answers_and_reasons(
    device: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["allegro-boot-backend", "get-state", "factory"])
    assert boot_backend.main() == 0
    assert capsys.readouterr().out == "good\n"
    monkeypatch.setattr("sys.argv", ["allegro-boot-backend", "set-state", "slot-a"])
    assert boot_backend.main() == 1
    assert "not known" in capsys.readouterr().err
