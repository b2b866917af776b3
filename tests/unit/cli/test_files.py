import json

import pytest

from allegro.cli import files
from tests.unit.cli.playing_api import Api, run


def test_files_are_listed_and_deleted_by_any_name(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    file = {
        "name": "a.pcapng",
        "directory": "upload",
        "size": 5,
        "modified_time": "2026-11-21T14:30:05.000000000Z",
    }
    api.answer("GET /files?limit=1000", [file])
    api.answer("DELETE /files/a%3Fb%20c", None, status=204)
    assert run(api, "files") == 0
    assert "a.pcapng  5 bytes  2026-11-21 14:30:05  upload" in capsys.readouterr().out
    assert run(api, "files", "delete", "a?b c") == 0
    assert capsys.readouterr().out == "Deleted a?b c.\n"


@pytest.mark.spec("W6")
@pytest.mark.parametrize("name", ["../settings.json", "a/b", "..", ""])
def test_what_cannot_be_a_name_is_not_there(api: Api, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(api, "files", "delete", name) == 1
    said = capsys.readouterr().err
    assert f"There is nothing with the name {name}." in said
    assert "slashes" in said


@pytest.mark.spec("W5", "W14")
def test_long_lists_are_asked_for_in_parts(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PART", 2)

    def listed(name: str) -> dict[str, object]:
        time = "2026-11-21T14:30:05.000000000Z"
        return {"name": name, "directory": "storage", "size": 5, "modified_time": time, "cursor": f"c{name}"}

    query = "limit=2&search=a+b&since=2026-11-21&order=newest"
    api.answer(f"GET /files?{query}", [listed("1"), listed("2")])
    behind = query.replace("limit=2", "limit=2&after=c2")
    api.answer(f"GET /files?{behind}", [listed("3")])
    options = ("--search", "a b", "--since", "2026-11-21", "--order", "newest", "--json")
    assert run(api, "files", "list", *options) == 0
    assert [file["name"] for file in json.loads(capsys.readouterr().out)] == ["1", "2", "3"]
    api.answer(f"GET /files?{behind}", [])
    assert run(api, "files", *options) == 0
    assert [file["name"] for file in json.loads(capsys.readouterr().out)] == ["1", "2"]


@pytest.mark.spec("W5")
def test_files_are_renamed_and_moved(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("PATCH /files/a", {"name": "b c"})
    assert run(api, "files", "rename", "a", "b c") == 0
    assert capsys.readouterr().out == "a is now called b c.\n"
    api.answer("PATCH /files/a", {"name": "a"})
    assert run(api, "files", "queue", "a") == 0
    assert run(api, "files", "keep", "a") == 0
    assert capsys.readouterr().out == "a is to be sent.\na is not sent.\n"
    assert [body for _, body in api.asked] == [
        {"name": "b c"},
        {"directory": "upload"},
        {"directory": "storage"},
    ]
