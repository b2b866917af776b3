import pytest

from tests.unit.cli.playing_api import Api, run


def test_files_are_listed_and_deleted_by_any_name(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    file = {
        "name": "a.pcapng",
        "directory": "upload",
        "size": 5,
        "modified_time": "2026-11-21T14:30:05.000000000Z",
    }
    api.answer("GET /files", [file])
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
