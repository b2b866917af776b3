import pytest

from tests.unit.cli.playing_api import Api, run


def test_bmc(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    lan = {"present": True, "source": "static", "address": "192.0.2.9/24", "gateway": "", "mac": "02:00"}
    api.answer("GET /bmc", {**lan, "present": False}, lan)
    api.answer("PUT /bmc", lan)
    assert run(api, "bmc") == 0
    assert "no BMC" in capsys.readouterr().out
    assert run(api, "bmc") == 0
    assert "192.0.2.9/24" in capsys.readouterr().out
    assert run(api, "bmc", "set", "192.0.2.9/24", "--gateway", "192.0.2.1") == 0
    wanted = {"source": "static", "address": "192.0.2.9/24", "gateway": "192.0.2.1"}
    assert ("PUT /bmc", wanted) in api.asked
    assert run(api, "bmc", "set", "dhcp") == 0
    assert ("PUT /bmc", {"source": "dhcp", "gateway": ""}) in api.asked
