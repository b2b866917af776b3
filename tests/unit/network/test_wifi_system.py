"""How the programs of the WiFi are used, with others in their place."""

from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.network import wifi_system
from allegro.network.wifi_system import WifiSystem

FOUND = "BSS 02:00:00:00:01:00(on wifi0)\n\tfreq: 2462\n\tsignal: -30.00 dBm\n\tSSID: Office\n"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """File with the calls of `iw`, whose answers stand in the folder `answers`: one script for each scan."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "answers").mkdir()
    log = tmp_path / "calls"
    iw = programs / "iw"
    iw.write_text(
        f'#!/bin/sh\necho "$*" >>{log}\n[ "$*" = "dev wifi0 scan ap-force" ] || exit 0\n'
        f"number=$(grep -c ap-force {log})\n. {tmp_path}/answers/$number\n"
    )
    iw.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(wifi_system, "_SCAN_TIMEOUT_S", 0.5)
    monkeypatch.setattr(wifi_system, "_PAUSE_S", 0.0)
    return log


def answer(calls: Path, number: int, script: str) -> None:
    (calls.parent / "answers" / str(number)).write_text(script)


@pytest.mark.spec("N2")
def test_a_scan_that_never_ends_is_aborted_and_done_again(calls: Path) -> None:
    answer(calls, 1, "exec sleep 30")
    answer(calls, 2, "echo 'command failed: Device or resource busy (-16)' >&2; exit 240")
    answer(calls, 3, f"cat <<end\n{FOUND}end\n")
    (network,) = WifiSystem(calls.parent).scan(in_use=True)
    assert network.ssid == "Office"
    scan, abort = "dev wifi0 scan ap-force", "dev wifi0 scan abort"
    assert calls.read_text().splitlines() == [scan, abort, scan, scan]


@pytest.mark.spec("N2")
def test_what_the_adapter_refuses_is_told(calls: Path) -> None:
    answer(calls, 1, "echo 'command failed: Operation not supported (-95)' >&2; exit 161")
    with pytest.raises(Unavailable, match=r"could not look for networks .*not supported"):
        WifiSystem(calls.parent).scan(in_use=True)


@pytest.mark.spec("N2")
def test_it_is_not_tried_for_ever(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wifi_system, "_SCAN_LIMIT_S", 0.0)
    answer(calls, 1, "exec sleep 30")
    with pytest.raises(Unavailable, match=r"not within 0\.5 s"):
        WifiSystem(calls.parent).scan(in_use=True)
