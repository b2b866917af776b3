import json
import subprocess
import time
from pathlib import Path

import pytest

from allegro.capture import config, space
from allegro.capture.config import RecorderConfig
from allegro.capture.port_rules import NO_RULES, discards
from allegro.capture.status import RecorderStatus, write
from allegro.errors import InvalidInput, Unavailable
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.recording import Recording, SlicingRule
from allegro.supervisor import recorder_process
from allegro.system import boottime


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "data", tmp_path / "run")
    made.recorder_status.parent.mkdir(parents=True)
    return made


def test_a_recorder_that_never_spoke_or_speaks_nonsense_is_silent(paths: Paths) -> None:
    assert recorder_process.live_status(paths.recorder_status) is None
    paths.recorder_status.write_bytes(b"{")
    assert recorder_process.live_status(paths.recorder_status) is None


@pytest.mark.parametrize(("seconds_ago", "alive"), [(0, True), (4, True), (6, False), (-3600, False)])
def test_an_old_status_is_silence(paths: Paths, seconds_ago: int, alive: bool) -> None:
    write(RecorderStatus(time_ns=time.time_ns() - seconds_ago * 1_000_000_000), paths.recorder_status)
    assert (recorder_process.live_status(paths.recorder_status) is not None) is alive
    assert recorder_process.last_status(paths.recorder_status) is not None


@pytest.mark.spec("R9")
@pytest.mark.parametrize(("seconds_ago", "alive"), [(0, True), (4, True), (6, False)])
def test_a_clock_that_was_set_makes_nobody_silent(paths: Paths, seconds_ago: int, alive: bool) -> None:
    said = RecorderStatus(
        time_ns=time.time_ns() - 3600 * 1_000_000_000,
        boot_id=boottime.boot_id(),
        time_boot_ns=boottime.now_ns() - seconds_ago * 1_000_000_000,
    )
    write(said, paths.recorder_status)
    assert (recorder_process.live_status(paths.recorder_status) is not None) is alive


def test_the_ring_size_is_changed_and_the_rest_of_the_file_kept(paths: Paths) -> None:
    settings = Settings(recording=Recording(ring_size_mib=64))
    assert recorder_process.wanted_config(settings, paths) == RecorderConfig(
        paths.ring,
        64 << 20,
        paths.recorder_status,
        memory_directory=paths.memory_ring,
        memory_size=space.ring_in_memory(paths.run),
    )
    present = RecorderConfig(
        paths.ring, 1 << 30, paths.recorder_status, port_pattern="eth[0-9]", retire_ms=50
    )
    config.dump(present, paths.recorder_config)
    wanted = recorder_process.wanted_config(settings, paths)
    assert (wanted.ring_size, wanted.port_pattern, wanted.retire_ms) == (64 << 20, "eth[0-9]", 50)


@pytest.mark.spec("W5")
def test_a_ring_on_a_disk_has_a_size_of_its_own_and_comes_back(paths: Paths) -> None:
    settings = Settings(recording=Recording(ring_size_mib=64, ring_disk="5f3a", ring_disk_mib=4096))
    folder = paths.run / "ring-disk/allegro-ring"
    wanted = recorder_process.wanted_config(settings, paths, folder)
    assert (wanted.ring_directory, wanted.ring_size) == (folder, 4096 << 20)
    config.dump(wanted, paths.recorder_config)
    back = recorder_process.wanted_config(settings, paths)
    assert (back.ring_directory, back.ring_size) == (paths.ring, 64 << 20)


def test_the_recorder_is_told_by_systemd(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        called.append(command)
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(subprocess, "run", run)
    settings = Settings(recording=Recording(ring_size_mib=64))
    recorder_process.apply_config(recorder_process.wanted_config(settings, paths), paths)
    assert json.loads(paths.recorder_config.read_bytes())["ring_size"] == 64 << 20
    assert called[0][0] == "systemctl"
    assert called[0][-1] == "allegro-recorder.service"


def test_a_recorder_that_cannot_be_told_is_told_to_the_user(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(command, 1, b"", b"Unit not loaded")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(Unavailable, match="could not be told"):
        recorder_process.apply_config(recorder_process.wanted_config(Settings(), paths), paths)


@pytest.mark.spec("R6")
def test_a_ring_that_the_disk_could_never_hold_is_refused(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "largest_ring", lambda _: 2000 << 20)
    old, fits, too_large = (Settings(recording=Recording(ring_size_mib=size)) for size in (64, 2000, 2001))
    recorder_process.check_ring_size(old, fits, paths.ring)
    with pytest.raises(InvalidInput, match="larger than its storage device") as caught:
        recorder_process.check_ring_size(old, too_large, paths.ring)
    assert caught.value.place == "recording.ring_size_mib"
    assert caught.value.remedy == "At most 2000 MiB fit there."
    recorder_process.check_ring_size(too_large, too_large, paths.ring)


@pytest.mark.spec("R6")
def test_without_the_disk_no_ring_size_is_refused(paths: Paths) -> None:
    old, new = (Settings(recording=Recording(ring_size_mib=size)) for size in (64, 65))
    recorder_process.check_ring_size(old, new, paths.data / "not there")


@pytest.mark.spec("R3")
def test_rules_in_force_are_told_as_programs_for_each_port(paths: Paths) -> None:
    rules = (
        SlicingRule(name="web", filter="port == 80", bytes=96),
        SlicingRule(name="left", filter="interface == port2", action="discard"),
        SlicingRule(name="off", filter="vlan == 7", action="discard", enabled=False),
    )
    settings = Settings(recording=Recording(ring_size_mib=64, rules=rules))
    wanted = recorder_process.wanted_config(settings, paths).rules
    assert wanted.text == "1. web: keep 96 bytes of port == 80; 2. left: discard interface == port2"
    assert len(wanted.programs) == 2
    assert wanted.program("port1") == wanted.program("port64") != wanted.program("port2")
    assert (discards(wanted.program("port1")), discards(wanted.program("port2"))) == (False, True)
    config.dump(recorder_process.wanted_config(settings, paths), paths.recorder_config)
    assert config.load(paths.recorder_config).rules == wanted
    assert recorder_process.wanted_config(Settings(), paths).rules == NO_RULES
