"""Users and tokens: asked from the page's program, beside the supervisor's socket."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.cli.main import main
from tests.unit.cli.playing_api import Api

TOKEN = {
    "id": "0123456789ab",
    "name": "backup",
    "role": "viewer",
    "created_time": "2026-11-21T14:30:05.000000000Z",
    "ends_time": None,
    "used_time": "2026-11-22T14:30:05.000000000Z",
}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Api]:
    (tmp_path / "web").mkdir()
    with Api(tmp_path / "web/page.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(folder: Path, *arguments: str) -> int:
    return main([*arguments, "--socket", str(folder / "api.sock")])


def test_users_are_managed(
    page: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page.answer("GET /users", [{"name": "anna", "role": "viewer", "must_change": True}])
    page.answer("POST /users", [], status=201)
    page.answer("PATCH /users/anna", [])
    page.answer("DELETE /users/anna", None, status=204)
    assert run(tmp_path, "users") == 0
    assert "anna  viewer  is asked for a new password" in capsys.readouterr().out
    for number in range(2):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"the word {number}\n"))
        arguments = ("add", "anna", "--role", "viewer") if number else ("password", "anna")
        assert run(tmp_path, "users", *arguments) == 0
    assert run(tmp_path, "users", "role", "anna", "capture") == 0
    assert run(tmp_path, "users", "delete", "anna") == 0
    assert [body for _, body in page.asked[1:]] == [
        {"password": "the word 0"},
        {"name": "anna", "role": "viewer", "password": "the word 1"},
        {"role": "capture"},
        None,
    ]
    assert "the word" not in capsys.readouterr().out


@pytest.mark.spec("W10")
def test_tokens_are_made_shown_once_and_deleted_by_name(
    page: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page.answer("GET /tokens", [TOKEN])
    page.answer("POST /tokens", {**TOKEN, "token": "allegro_secret"}, status=201)
    page.answer("DELETE /tokens/0123456789ab", None, status=204)
    assert run(tmp_path, "tokens", "add", "backup", "--days", "30") == 0
    assert capsys.readouterr().out == "allegro_secret\n"
    assert page.asked[0][1] == {"name": "backup", "role": "viewer", "days": 30}
    assert run(tmp_path, "tokens") == 0
    assert "backup  viewer  never       2026-11-22 14:30:05" in capsys.readouterr().out
    assert run(tmp_path, "tokens", "delete", "backup") == 0
    assert run(tmp_path, "tokens", "delete", "other") == 1
    assert "no such token" in capsys.readouterr().err


def test_without_the_page_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "users") == 1
    assert "The web page cannot be reached" in capsys.readouterr().err
