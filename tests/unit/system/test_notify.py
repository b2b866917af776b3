from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from allegro.system.notify import alive, alive_every_s, notify


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_message_arrives(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = str(tmp_path / "notify") if kind == "path" else "@allegro-test-notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert notify("READY=1")
        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "/nowhere/at/all", "vsock:1:2"])
def test_without_systemd_nothing_happens(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


@pytest.mark.spec("I5")
@pytest.mark.parametrize(
    ("limit", "process", "expected"),
    [
        ("30000000", None, 7.5),
        ("30000000", "own", 7.5),
        ("30000000", "1", None),
        ("0", None, None),
        ("", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_is_told_four_times_within_its_limit(
    limit: str, process: str | None, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if process == "own":
        process = str(os.getpid())
    if process is not None:
        monkeypatch.setenv("WATCHDOG_PID", process)
    assert alive_every_s() == expected


def test_without_systemd_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert alive_every_s() is None
    assert not alive()
