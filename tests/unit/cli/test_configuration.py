import io
import json
import sys
from pathlib import Path

import pytest

from tests.unit.cli.playing_api import Api, run

pytestmark = pytest.mark.spec("W9")

FILE = {"allegro_configuration": 1, "settings": {"trigger": {"before_s": 90}}}
CHANGE = {"section": "trigger", "place": "trigger.before_s", "label": "x", "before": 60, "after": 90}
SECRET = {"section": "export", "place": "export.password", "label": "x", "before": "*", "after": "*"}


def test_export_writes_a_file_for_its_owner_alone(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer("POST /configuration/export", FILE)
    file = tmp_path / "a.json"
    assert run(api, "configuration", "export", str(file)) == 0
    assert json.loads(file.read_text()) == FILE
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(sys, "stdin", io.StringIO("of the file\n"))
    assert run(api, "configuration", "export", "-", "--secrets") == 0
    assert api.asked[-1] == ("POST /configuration/export", {"password": "of the file"})
    assert json.loads(capsys.readouterr().out.partition("\n")[2]) == FILE
    assert run(api, "configuration", "export", str(tmp_path / "none" / "a.json")) == 1


def test_compare_and_import_name_what_changes_and_what_is_left_out(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(FILE))
    api.answer("POST /configuration/compare", {"changes": [CHANGE, SECRET], "left_out": ["time.zone: x"]})
    assert run(api, "configuration", "compare", str(file)) == 0
    shown = capsys.readouterr().out
    assert "trigger.before_s  60        ->  90\n" in shown
    assert "export.password   a secret  ->  another secret\n" in shown
    assert "Not taken over: time.zone: x" in shown
    answer: dict[str, object] = {
        "left_out": [],
        "warnings": ["It sleeps."],
        "confirm_within_s": None,
        "settings": {},
    }
    api.answer("POST /configuration/import", answer)
    assert run(api, "configuration", "import", str(file), "--sections", "trigger") == 0
    sent = {"file": FILE, "password": "", "sections": ["trigger"]}
    assert api.asked[-1] == ("POST /configuration/import", sent)
    assert "not in effect yet: It sleeps." in capsys.readouterr().out
    file.write_text("[]")
    assert run(api, "configuration", "import", str(file)) == 1
    assert "This is no configuration." in capsys.readouterr().err


def test_secrets_are_not_left_out_in_silence(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(FILE)))
    assert run(api, "configuration", "import", "-", "--secrets") == 1
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert run(api, "configuration", "export", str(tmp_path / "a.json"), "--secrets") == 1
    assert capsys.readouterr().err.count("No password was given") == 2
    assert api.asked == []


def test_history_and_return(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    one = {"id": 3, "time": "2026-11-30T10:00:00Z", "who": "", "changes": [CHANGE]}
    api.answer("GET /configuration/history", {"changes": [one]})
    assert run(api, "configuration", "history") == 0
    assert capsys.readouterr().out == (
        "3  2026-11-30 10:00:00 UTC  the device itself\n   trigger.before_s  60  ->  90\n"
    )
    api.answer(
        "POST /configuration/history/3/return", {"settings": {}, "warnings": [], "confirm_within_s": 120.0}
    )
    assert run(api, "configuration", "return", "3") == 0
    assert "The earlier settings are in force again." in capsys.readouterr().out
