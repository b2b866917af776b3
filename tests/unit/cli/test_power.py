import pytest

from tests.unit.cli.playing_api import Api, run


@pytest.mark.spec("W9")
@pytest.mark.parametrize(("word", "action"), [("reboot", "reboot"), ("off", "power-off")])
def test_power(api: Api, capsys: pytest.CaptureFixture[str], word: str, action: str) -> None:
    api.answer("POST /power", {"action": action}, status=202)
    assert run(api, "power", word) == 0
    assert api.asked == [("POST /power", {"action": action})]
    assert "device" in capsys.readouterr().out
