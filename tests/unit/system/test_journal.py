import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.system import journal
from allegro.system.journal import Entry


def line(**fields: object) -> bytes:
    return json.dumps({"__REALTIME_TIMESTAMP": "1795271405000001", **fields}).encode()


@pytest.mark.spec("W2")
def test_messages_as_journalctl_writes_them() -> None:
    lines = (
        line(PRIORITY="3", SYSLOG_IDENTIFIER="allegro-web", MESSAGE="broken"),
        line(PRIORITY="4", _COMM="python3", MESSAGE="odd"),
        line(MESSAGE=[104, 195, 40]),
        line(PRIORITY="7", SYSLOG_IDENTIFIER=["a", "b"], MESSAGE=None),
    )
    time_ns = 1795271405000001000
    assert list(journal.entries(lines)) == [
        Entry(time_ns, "error", "allegro-web", "broken"),
        Entry(time_ns, "warning", "python3", "odd"),
        Entry(time_ns, "info", "", "h\ufffd("),
        Entry(time_ns, "info", "a b", ""),
    ]


def test_what_is_no_message_is_left_out() -> None:
    lines = (b"", b"nonsense", b"[]", b"{}", line(PRIORITY="x"), line(MESSAGE="good"))
    assert [entry.text for entry in journal.entries(lines)] == ["good"]


def test_how_many_and_how_important() -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> bytes:
        asked.append(command)
        return line(MESSAGE="good") + b"\n"

    assert [entry.text for entry in journal.read(7, "warning", run)] == ["good"]
    assert {"--lines=7", "--priority=4", "--boot"} <= set(asked[0])
    assert not [each for each in asked[0] if "=" in each and not each.startswith("--")]


def test_the_devices_own_messages_are_those_of_its_units_and_all_warnings() -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> bytes:
        asked.append(command)
        return b""

    journal.read(7, "device", run)
    matches = [each for each in asked[0] if not each.startswith("--")][1:]
    assert matches[:6] == [*(f"PRIORITY={each}" for each in range(5)), "+"]
    units = Path("rootfs_overlay/usr/lib/systemd/system").glob("allegro-*.service")
    # What resets runs before there is a journal that lasts; a dissector has a name of its own each time, and
    # what it says that matters is a warning.
    others = ("allegro-reset", "allegro-packets@")
    ours = {f"_SYSTEMD_UNIT={unit.name}" for unit in units if unit.stem not in others}
    assert set(matches[6:]) == ours


def test_the_devices_own_programs_are_known_by_their_names() -> None:
    for unit in Path("rootfs_overlay/usr/lib/systemd/system").glob("allegro-*.service"):
        content = unit.read_text()
        name = unit.stem.removesuffix("@")
        assert ("/usr/bin/python3" in content) == (f"\nSyslogIdentifier={name}\n" in content), unit


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "none"), subprocess.CalledProcessError(1, "journalctl")]
)
def test_no_log_is_told(error: Exception) -> None:
    def run(_: Sequence[str]) -> bytes:
        raise error

    with pytest.raises(Unavailable, match="log cannot be read"):
        journal.read(1, "info", run)
