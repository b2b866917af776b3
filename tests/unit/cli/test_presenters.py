import pytest

from allegro.cli import presenters
from tests.unit.cli.playing_api import Api, run

pytestmark = pytest.mark.spec("T8")

DEVICE = {"vendor": "046d", "product": "c53e", "name": "Spotlight", "used": False, "problem": ""}
IDLE = {"devices": [DEVICE], "learning_s": None, "heard": None, "sound": False, "last_press": None}


def test_what_is_plugged_in(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    press = {"time": "2026-11-30T10:00:00Z", "key": "next", "presenter": "Logitech R400", "job": 1}
    api.answer("GET /presenters", {**IDLE, "last_press": press})
    assert run(api, "presenters") == 0
    assert capsys.readouterr().out == (
        "USB id     Name\n046d:c53e  Spotlight  not used\n"
        "Last press: next on Logitech R400, 2026-11-30 10:00:00 UTC\n"
    )


def test_learning_waits_for_a_key(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presenters, "_ASK_S", 0.001)
    heard = {"vendor": "046d", "product": "c53e", "name": "Spotlight", "key": "next"}
    api.answer("POST /presenters/learn", {**IDLE, "learning_s": 5.0})
    api.answer("GET /presenters", {**IDLE, "learning_s": 4.0}, {**IDLE, "heard": heard})
    assert run(api, "presenters", "learn", "--seconds", "5") == 0
    assert "Heard: Spotlight (046d:c53e), key next." in capsys.readouterr().out
    api.answer("GET /presenters", IDLE)
    assert run(api, "presenters", "learn") == 1
    assert "No key was pressed" in capsys.readouterr().err


def test_tone(api: Api) -> None:
    api.answer("POST /presenters/tone", None)
    assert run(api, "presenters", "tone") == 0
