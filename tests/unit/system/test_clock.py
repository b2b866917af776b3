import ctypes
import datetime as dt
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import Conflict, InvalidInput, Unavailable
from allegro.settings.network import Time
from allegro.slow_look import SlowLook
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
    state = clock.read_state(settings, "+0100", timesync, synchronised=True)
    assert (state.utc_offset, state.synchronised, state.server) == ("+01:00", True, "ntp.example")
    assert state.servers == ("ntp.example", "192.0.2.1")
    assert state.servers_from_network == ("192.0.2.5",)
    silent = clock.read_state(Time(), "+0000", {}, synchronised=False)
    assert (silent.synchronised, silent.server, silent.servers) == (False, "", ())


def test_pages_that_show_the_clock_start_no_programs_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    now = [1000.0]

    def ask() -> dict[str, str]:
        if len(asked) == 2:
            raise OSError("it does not answer")
        asked.append(now[0])
        return {"ServerName": f"ntp{len(asked)}.example"}

    look = SlowLook("time servers", ask, kept_s=clock.KEPT_S, now_s=lambda: now[0])
    monkeypatch.setattr(clock, "_TIMESYNC", look)
    assert [clock.state(Time()).server for _ in range(3)] == ["ntp1.example"] * 3
    now[0] += clock.KEPT_S
    assert clock.state(Time()).server == "ntp2.example"
    now[0] += clock.KEPT_S
    assert clock.state(Time()).server == "", "it may be another one by now"


def test_whether_the_clock_is_kept_is_asked_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        error_us, code = 0, 0

        def adjtimex(self, timex: Any) -> int:
            assert timex.raw == bytes(208), "modes 0 change nothing"
            struct.pack_into("l", timex, 24, self.error_us)
            return self.code

    kernel = Kernel()
    assert isinstance(clock.is_synchronised(), bool)  # the real one
    monkeypatch.setattr(ctypes, "CDLL", lambda _: kernel)
    assert clock.is_synchronised()
    kernel.error_us = 16_000_000
    assert not clock.is_synchronised()
    kernel.error_us, kernel.code = 0, -1
    assert not clock.is_synchronised()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the clock of the machine would have been set to."""
    times: list[int] = []
    monkeypatch.setattr("time.clock_settime_ns", lambda clock, ns: times.append(ns))
    return times


ALONE = clock.read_state(Time(), "+0000", {}, synchronised=False)
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
    kept = clock.read_state(Time(), "+0000", {"ServerName": "ntp.example"}, synchronised=True)
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
