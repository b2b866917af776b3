import threading

import pytest

from allegro.errors import Unavailable
from allegro.firmware import daily
from allegro.firmware.daily import AGAIN_S, EVERY_S, DailyCheck


def test_looks_once_a_day_and_sooner_after_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    looks: list[str] = []

    def fails() -> None:
        looks.append("failed")
        raise Unavailable("no server.")

    assert DailyCheck(lambda: True, lambda: looks.append("looked")).look() == EVERY_S
    assert DailyCheck(lambda: False, lambda: looks.append("not wanted")).look() == AGAIN_S
    assert DailyCheck(lambda: True, fails).look() == AGAIN_S
    assert DailyCheck(lambda: True, lambda: 1 / 0).look() == AGAIN_S
    assert looks == ["looked", "failed"]
    assert "no server." in caplog.text


def test_the_first_look_comes_by_itself_and_it_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "FIRST_S", (0.0, 0.01))
    looked = threading.Event()
    check = DailyCheck(lambda: True, looked.set)
    check.start()
    assert looked.wait(10)
    check.stop()
    check._thread.join(10)
    assert not check._thread.is_alive()
