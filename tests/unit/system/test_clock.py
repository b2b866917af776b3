import datetime as dt
import struct
import time
from pathlib import Path

import pytest

from allegro.errors import Conflict, InvalidInput, Unavailable
from allegro.settings.network import Time
from allegro.system import clock

pytestmark = pytest.mark.spec("N7")


def test_the_zone_is_a_link_that_is_replaced(tmp_path: Path) -> None:
    zone = tmp_path / "localtime"
    clock.set_zone("Europe/Berlin", zone)
    assert zone.readlink() == Path("/usr/share/zoneinfo/Europe/Berlin")
    clock.apply(Time(), zone)
    assert zone.readlink() == Path("/usr/share/zoneinfo/UTC")
    assert time.tzname  # it was set anew, and nothing broke
    assert [path.name for path in tmp_path.iterdir()] == ["localtime"]


def test_a_zone_that_cannot_be_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file or directory"):
        clock.apply(Time(), tmp_path / "missing/localtime")


def test_the_state_as_timedatectl_tells_it() -> None:
    settings = Time(zone="Europe/Berlin", servers=("ntp.example", "192.0.2.1"))
    timesync = {
        "LinkNTPServers": "ntp.example 192.0.2.1 192.0.2.5",
        "FallbackNTPServers": "0.pool.example",
        "ServerName": "ntp.example",
        "ServerAddress": "192.0.2.9",
    }
    state = clock.read_state(settings, "+0100", {"NTPSynchronized": "yes"}, timesync)
    assert (state.utc_offset, state.synchronised, state.server) == ("+01:00", True, "ntp.example")
    assert state.servers == ("ntp.example", "192.0.2.1")
    assert state.servers_from_network == ("192.0.2.5",)
    silent = clock.read_state(Time(), "+0000", {}, {})
    assert (silent.synchronised, silent.server, silent.servers) == (False, "", ())


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the clock of the machine would have been set to."""
    times: list[int] = []
    monkeypatch.setattr("time.clock_settime_ns", lambda clock, ns: times.append(ns))
    return times


ALONE = clock.read_state(Time(), "+0000", {"NTPSynchronized": "no"}, {})
SUMMER = 1_782_864_000 * 10**9  # 2026-07-01


def test_a_clock_that_nobody_keeps_is_set_by_hand(
    given: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[tuple[int, bytes]] = []
    monkeypatch.setattr("fcntl.ioctl", lambda device, request, data: asked.append((request, data)))
    rtc = tmp_path / "rtc0"
    rtc.touch()
    clock.set_by_hand(SUMMER, ALONE, rtc)
    assert given == [SUMMER]
    assert asked == [(0x4024700A, struct.pack("9i", 0, 0, 0, 1, 6, 126, 0, 0, 0))]
    clock.set_by_hand(SUMMER, ALONE, tmp_path / "none")
    assert given == [SUMMER, SUMMER]
    assert "machine's own clock could not be set" in caplog.text


def test_a_clock_that_a_server_keeps_is_left_to_it(given: list[int], tmp_path: Path) -> None:
    kept = clock.read_state(Time(), "+0000", {"NTPSynchronized": "yes"}, {"ServerName": "ntp.example"})
    with pytest.raises(Conflict, match=r"kept by the time server ntp\.example"):
        clock.set_by_hand(SUMMER, kept, tmp_path / "rtc0")
    assert given == []


@pytest.mark.parametrize("year", [1970, 2025, 2100])
def test_a_year_that_cannot_be_is_refused(given: list[int], tmp_path: Path, year: int) -> None:
    wanted = int(dt.datetime(year, 7, 1, tzinfo=dt.UTC).timestamp()) * 10**9
    with pytest.raises(InvalidInput, match="must be 2026 to 2099"):
        clock.set_by_hand(wanted, ALONE, tmp_path / "rtc0")
    assert given == []


def test_a_system_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(clock: int, ns: int) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("time.clock_settime_ns", refuse)
    with pytest.raises(Unavailable, match="Operation not permitted"):
        clock.set_by_hand(SUMMER, ALONE, tmp_path / "rtc0")
