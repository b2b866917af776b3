import json
import logging
import os
import socket
import stat
import time
from pathlib import Path

import pytest

from allegro.capture import space
from allegro.network import configure, kernel, redirect, unconfirmed
from allegro.network.configure import Interfaces
from allegro.network.unconfirmed import Unconfirmed
from allegro.paths import Paths
from allegro.settings.network import Management
from allegro.supervisor import prepare as program
from allegro.supervisor.prepare import Folder, folders, prepare

FOUND = Interfaces(("mgmt0",), ("port1", "port2"), "02:00:00:00:ab:cd")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "data", tmp_path / "run")


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keeps the machine that runs the test as it is; the host names that it would have got."""
    given: list[str] = []
    monkeypatch.setattr(configure, "name_ports", lambda kept_in: FOUND)
    monkeypatch.setattr(redirect, "carry", lambda plan, names: "")
    monkeypatch.setattr(socket, "sethostname", given.append)
    monkeypatch.setattr(kernel, "largest_mtu", lambda names: {})
    monkeypatch.setattr(socket, "gethostname", lambda: "build-machine")
    monkeypatch.setattr("shutil.chown", lambda path, user, group: None)
    return given


@pytest.mark.spec("N1", "L1")
def test_a_first_start(paths: Paths, tmp_path: Path, names: list[str]) -> None:
    assert prepare(paths, tmp_path / "network") == 0
    assert names == ["allegro-mm-abcd"]
    assert stat.S_IMODE(paths.state.stat().st_mode) == 0o700
    assert paths.upload.is_dir()
    assert sorted(path.name for path in (tmp_path / "network").iterdir()) == [
        "10-allegro-br1.netdev",
        "10-allegro-br1.network",
        "10-allegro-mgmt0.network",
        "10-allegro-port1.network",
        "10-allegro-port2.network",
    ]
    recorder = json.loads(paths.recorder_config.read_text())
    assert recorder["ring_directory"] == str(paths.ring)
    assert recorder["memory_directory"] == str(paths.memory_ring)
    assert paths.memory_ring.is_dir()
    assert 16 << 20 <= recorder["memory_size"] <= 512 << 20
    half = space.disk_size(paths.ring) // 2 >> 20
    assert recorder["ring_size"] == min(max(half, 1024), space.largest_ring(paths.ring) >> 20) << 20
    assert json.loads(paths.settings.read_text())["recording"]["ring_size_mib"] == recorder["ring_size"] >> 20
    assert recorder["status_file"] == str(paths.recorder_status)
    assert paths.system_id.exists()
    first = paths.system_id.read_text()
    assert prepare(paths, tmp_path / "network") == 0
    assert paths.system_id.read_text() == first


def test_settings_are_followed(paths: Paths, tmp_path: Path) -> None:
    paths.data.mkdir()
    paths.settings.write_text(json.dumps({"recording": {"ring_size_mib": 64}, "links": {"mode": "sink"}}))
    assert prepare(paths, tmp_path / "network") == 0
    assert json.loads(paths.recorder_config.read_text())["ring_size"] == 64 * 1024 * 1024
    assert not (tmp_path / "network/10-allegro-br1.netdev").exists()


def test_damaged_settings_mean_defaults_and_stay_where_they_are(
    paths: Paths, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths.data.mkdir()
    paths.settings.write_text("{nonsense")
    assert prepare(paths, tmp_path / "network") == 0
    assert "default settings" in caplog.text
    assert (tmp_path / "network/10-allegro-br1.netdev").exists()
    assert paths.settings.read_text() == "{nonsense"


def test_a_step_that_fails_is_told_and_the_others_still_run(
    paths: Paths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    names: list[str],
) -> None:
    def broken(kept_in: Path) -> Interfaces:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(configure, "name_ports", broken)
    monkeypatch.setattr(
        program, "folders", lambda paths: [Folder(Path("/proc/impossible"), 0o755), *folders(paths)]
    )
    with caplog.at_level(logging.INFO):
        assert prepare(paths, tmp_path / "network") == 2
    assert "Ports: failed: Input/output error" in caplog.text
    assert "Folder /proc/impossible: failed" in caplog.text
    assert "Traceback" not in caplog.text
    assert paths.recorder_config.exists()
    assert names == ["allegro-mm"]


def test_folders_with_packets_are_closed_to_others(paths: Paths, tmp_path: Path) -> None:
    for path in (paths.ring, paths.storage, paths.upload):
        path.mkdir(mode=0o755, parents=True)
    assert prepare(paths, tmp_path / "network") == 0
    for path in (paths.ring, paths.storage, paths.upload):
        assert stat.S_IMODE(path.stat().st_mode) == 0o750


def test_recorder_and_web_page_own_their_folders(paths: Paths) -> None:
    owners = {folder.path: folder.user for folder in folders(paths) if folder.user != "root"}
    recorder = dict.fromkeys((paths.ring, paths.memory_ring), "allegro-recorder")
    assert owners == {**recorder, paths.web: "allegro-web"}
    assert [folder.mode for folder in folders(paths) if folder.path == paths.web] == [0o700]


@pytest.mark.spec("N1", "N7")
def test_host_name_and_time_of_the_settings(paths: Paths, tmp_path: Path, names: list[str]) -> None:
    paths.data.mkdir()
    wanted = {"zone": "Europe/Berlin", "servers": ["ntp.example"]}
    paths.settings.write_text(json.dumps({"management": {"host_name": "meter-7"}, "time": wanted}))
    assert prepare(paths, tmp_path / "network") == 0
    assert names == ["meter-7"]
    assert str(paths.localtime.readlink()) == "/usr/share/zoneinfo/Europe/Berlin"
    assert "NTP=ntp.example\n" in (tmp_path / "network/10-allegro-mgmt0.network").read_text()


@pytest.mark.spec("N5")
def test_a_change_that_nobody_confirmed_does_not_count(paths: Paths, tmp_path: Path) -> None:
    paths.state.mkdir(parents=True)
    new = {"mode": "static", "address": "192.0.2.9/24"}
    paths.settings.write_text(json.dumps({"management": new, "links": {"mode": "sink"}}))
    old = {"management": Management(mode="static", address="192.0.2.5/24").model_dump(mode="json")}
    names = {"02:00:00:00:ab:cd": "mgmt0"}
    unconfirmed.save(Unconfirmed(old, names, "another start", 99.0), paths.unconfirmed_change)
    assert prepare(paths, tmp_path / "network") == 0
    file = (tmp_path / "network/10-allegro-mgmt0.network").read_text()
    assert "192.0.2.5/24" in file
    assert "192.0.2.9/24" not in file
    assert not (tmp_path / "network/10-allegro-br1.netdev").exists(), "other settings are as they were"
    assert configure.known_names(configure.memory(paths.state)) == names
    assert json.loads(paths.settings.read_text())["management"] == new, "that is for the supervisor"


@pytest.mark.spec("N7")
def test_the_clock_does_not_start_before_the_last_time_known(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given: list[int] = []
    monkeypatch.setattr("time.clock_settime_ns", lambda clock, ns: given.append(ns))
    paths.state.mkdir(parents=True)
    paths.kept_time.touch()
    kept_ns = time.time_ns() + 3600 * 10**9
    os.utime(paths.kept_time, ns=(kept_ns, kept_ns))
    with caplog.at_level(logging.INFO):
        assert prepare(paths, tmp_path / "network") == 0
    assert given == [kept_ns]
    assert "behind the last time known" in caplog.text
    assert paths.clock_was_behind.exists()
