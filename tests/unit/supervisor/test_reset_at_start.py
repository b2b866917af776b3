import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.firmware import boot_state
from allegro.firmware.boot_state import BootName, BootState, Request
from allegro.firmware.factory import Disk
from allegro.paths import Paths
from allegro.supervisor import reset_at_start as program
from allegro.system import configuration_reset


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    made = Disk(*(tmp_path / name for name in ("boot-state", "factory", "slot-a", "slot-b", "data")))
    made.boot_state.write_bytes(bytes(1 << 20))
    made.data.mkdir()
    (made.data / "settings.json").write_text(json.dumps({"trigger": {"before_s": 90}}))
    (made.data / "web").mkdir()
    (made.data / "web/users.json").write_text("{}")
    (made.data / "storage").mkdir()
    (made.data / "storage/a.pcapng").write_text("packets")
    return made


@pytest.fixture(autouse=True)
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What people would read."""
    lines: list[str] = []
    monkeypatch.setattr(program, "announce", lines.append)
    return lines


@contextlib.contextmanager
def mounted(partition: Path) -> Iterator[Path]:
    yield partition


def ask(disk: Disk, request: Request) -> None:
    boot_state.write(disk.boot_state, replace(BootState(starts=2), request=request))


@pytest.mark.spec("U5")
def test_configuration_reset_removes_settings_then_the_request(disk: Disk, tmp_path: Path) -> None:
    ask(disk, "configuration-reset")
    assert not program.run(disk, Paths(disk.data, tmp_path / "run"), mounted)
    assert not (disk.data / "settings.json").exists()
    assert not (disk.data / "web").exists()
    assert (disk.data / "storage/a.pcapng").read_text() == "packets"
    assert boot_state.read(disk.boot_state) == BootState(starts=2)
    assert configuration_reset.take_outcome(Paths(disk.data)) == configuration_reset.Told((), False)


@pytest.mark.spec("W9")
def test_an_order_says_what_to_keep_and_what_is_to_follow_and_is_gone_then(
    disk: Disk, tmp_path: Path
) -> None:
    paths = Paths(disk.data, tmp_path / "run")
    configuration_reset.write_order(paths, configuration_reset.Order(frozenset({"users"}), then_update=True))
    ask(disk, "configuration-reset")
    program.run(disk, paths, mounted)
    assert (disk.data / "web/users.json").exists()
    assert not (disk.data / "settings.json").exists()
    assert not configuration_reset.order_path(paths).exists()
    assert configuration_reset.take_outcome(paths) == configuration_reset.Told((), True)


@pytest.mark.spec("U3")
def test_cut_before_the_request_is_cleared_it_is_done_again_with_the_same_order(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = Paths(disk.data, tmp_path / "run")
    configuration_reset.write_order(paths, configuration_reset.Order(frozenset({"users"})))
    ask(disk, "configuration-reset")

    def cut(_device: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(program, "clear_request", cut)
        with pytest.raises(KeyboardInterrupt):
            program.run(disk, paths, mounted)
    assert boot_state.read(disk.boot_state).request == "configuration-reset"
    program.run(disk, paths, mounted)
    assert (disk.data / "web/users.json").exists()
    assert boot_state.read(disk.boot_state).request == ""


def test_without_a_request_nothing_happens(disk: Disk, tmp_path: Path, said: list[str]) -> None:
    ask(disk, "")
    assert not program.run(disk, Paths(disk.data, tmp_path / "run"), mounted)
    assert (disk.data / "settings.json").exists()
    assert said == []


def test_a_reset_that_cannot_be_done_is_told_and_given_up(
    disk: Disk, tmp_path: Path, said: list[str]
) -> None:
    def broken(_partition: Path) -> contextlib.AbstractContextManager[Path]:
        raise Unavailable("The data partition cannot be used: bad superblock")

    ask(disk, "configuration-reset")
    paths = Paths(disk.data, tmp_path / "run")
    assert not program.run(disk, paths, broken)
    assert "not done. The data partition cannot be used: bad superblock" in said[-1]
    assert program.failure_path(paths).read_text() == said[-1]
    assert boot_state.read(disk.boot_state).request == ""


@pytest.mark.spec("U6")
@pytest.mark.parametrize("slot", ["slot-a", "slot-b", None])
def test_a_factory_reset_is_refused_outside_of_the_factory_slot(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slot: BootName | None, said: list[str]
) -> None:
    monkeypatch.setattr(boot_state, "running", lambda: slot)
    ask(disk, "factory-reset")
    assert not program.run(disk, Paths(disk.data, tmp_path / "run"), mounted)
    assert "factory version cannot be started" in said[-1]
    assert boot_state.read(disk.boot_state).request == ""
    assert (disk.data / "settings.json").exists()


@pytest.mark.spec("U6")
def test_a_factory_reset_ends_with_a_new_start(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Disk] = []
    monkeypatch.setattr(boot_state, "running", lambda: "factory")
    monkeypatch.setattr(program, "factory_reset", lambda disk, _tell, _make: done.append(disk))
    ask(disk, "factory-reset")
    assert program.run(disk, Paths(disk.data, tmp_path / "run"), mounted)
    assert done == [disk]
