import json
import socket
from pathlib import Path

import pytest

from allegro.cli.main import main
from tests.unit.cli.playing_api import Api, run


@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_is_one_message_with_its_remedy(
    api: Api, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    error = {"message": "There is no capture number 9.", "place": "id", "remedy": "Look again."}
    api.answer("GET /jobs/9", {"error": error}, status=404)
    assert run(api, "jobs", "9", *(["--json"] if as_json else [])) == 1
    shown = capsys.readouterr()
    if as_json:
        assert json.loads(shown.out) == {"error": error}
    else:
        assert shown.err == "allegro: id: There is no capture number 9. Look again.\n"
        assert shown.out == ""


@pytest.mark.parametrize("content", [b"<html>", b'{"x": 1}', b"[]"])
def test_an_answer_that_makes_no_sense_is_told(
    api: Api, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    api.answer("GET /status", content, status=502)
    assert run(api, "status") == 1
    assert capsys.readouterr().err.startswith("allegro: The supervisor")


def test_a_supervisor_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    for name in ("dead.sock", "none.sock"):
        assert main(["status", "--socket", str(tmp_path / name)]) == 1
        error = capsys.readouterr().err
        assert "The supervisor cannot be reached" in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["dance"], ["trigger", "--before", "x"], ["settings"], ["files", "delete"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: allegro" in capsys.readouterr().err


@pytest.mark.spec("S7")
def test_no_text_of_others_controls_the_terminal(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    said = "HTTP 200\tok \x1b]0;x\x07\x9b2J \u202eback\nnext \ud800"
    api.answer("POST /notifications/test", {"message": said})
    assert run(api, "notifications", "test", "mail") == 0
    assert capsys.readouterr().out == "HTTP 200        ok ?]0;x??2J ?back\nnext ?\n"
    assert run(api, "notifications", "test", "mail", "--json") == 0
    written = capsys.readouterr().out
    assert json.loads(written) == {"message": said}
    assert not set("\x1b\x07\x9b\ud800") & set(written)
    api.answer("GET /jobs/9", {"error": {"message": said, "place": "", "remedy": ""}}, status=404)
    assert run(api, "jobs", "9") == 1
    assert "?]0;x??2J" in capsys.readouterr().err
