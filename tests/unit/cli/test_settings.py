from typing import Any

import pytest

from allegro.cli.settings import settings_patch
from allegro.errors import InvalidInput
from tests.unit.cli.playing_api import Api, run

SETTINGS: dict[str, Any] = {
    "trigger": {"before_s": 60, "beep": True},
    "export": {"host": "", "password": "********"},
}


def test_settings_get(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /settings", SETTINGS)
    assert run(api, "settings", "get", "trigger.beep") == 0
    assert capsys.readouterr().out == "true\n"
    assert run(api, "settings", "get", "trigger") == 0
    assert capsys.readouterr().out == "trigger.before_s  =  60\ntrigger.beep      =  true\n"
    assert run(api, "settings", "get", "triger.before_s") == 1
    assert (
        "triger.before_s: There is no such setting. Do you mean trigger.before_s?" in capsys.readouterr().err
    )


def test_settings_set_sends_one_patch_and_shows_what_holds(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answer("GET /settings", SETTINGS)
    new = {"trigger": {"before_s": 90, "beep": True}, "export": {"host": "123", "password": "********"}}
    api.answer(
        "PATCH /settings", {"settings": new, "warnings": ["The recorder sleeps."], "confirm_within_s": 120.0}
    )
    assert run(api, "settings", "set", "trigger.before_s=90", "export.host=123", "export.password=a=b") == 0
    assert api.asked[-1] == (
        "PATCH /settings",
        {"trigger": {"before_s": 90}, "export": {"host": "123", "password": "a=b"}},
    )
    shown = capsys.readouterr().out
    assert "a=b" not in shown
    assert "Saved, but not in effect yet: The recorder sleeps." in shown


def test_settings_patch_reads_json_where_the_setting_is_no_text() -> None:
    present = {"a": {"n": 1, "flag": False, "list": [], "text": ""}}
    changes = ["a.n=5", "a.flag=true", 'a.list=["x"]', "a.text=true"]
    patch = {"a": {"n": 5, "flag": True, "list": ["x"], "text": "true"}}
    assert settings_patch(present, changes) == patch
    assert settings_patch(present, ["a.n=many"]) == {"a": {"n": "many"}}
    with pytest.raises(InvalidInput, match="PATH=VALUE"):
        settings_patch(present, ["a.n"])
    with pytest.raises(InvalidInput, match="no such setting"):
        settings_patch(present, ["a.n.deeper=1"])
