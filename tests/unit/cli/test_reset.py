import pytest

from tests.unit.cli.playing_api import Api, run


@pytest.mark.spec("W9", "U5")
@pytest.mark.parametrize("keep", [[], ["users", "keys"]])
def test_reset_configuration(api: Api, capsys: pytest.CaptureFixture[str], keep: list[str]) -> None:
    api.answer("POST /reset", {"keep": keep}, status=202)
    assert run(api, "reset", "configuration", *(["--keep", *keep] if keep else [])) == 0
    assert api.asked == [("POST /reset", {"keep": keep})]
    assert "defaults" in capsys.readouterr().out
