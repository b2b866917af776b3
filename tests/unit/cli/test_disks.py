import pytest

from tests.unit.cli.playing_api import Api, run

VOLUME = {
    "uuid": "5f3a",
    "path": "/dev/sdb1",
    "kind": "exfat",
    "label": "",
    "size": 32 * 10**9,
    "model": "Ultra Fit",
    "serial": "4C53",
    "transport": "usb",
    "removable": True,
    "objection": "",
}
NONE = {"chosen": "", "used": False, "free": None, "reason": "", "volumes": [VOLUME]}
USED = {**NONE, "chosen": "5f3a", "used": True, "free": 5 * 10**9}


@pytest.mark.spec("W5")
def test_disks_are_listed_chosen_and_removed(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /disks", NONE)
    assert run(api, "disks") == 0
    shown = capsys.readouterr().out
    assert "Captures stay on the device." in shown
    assert "5f3a  32.0 GB  usb  Ultra Fit  -     exfat        captures can go there" in shown
    api.answer("PUT /disks/chosen", USED)
    assert run(api, "disks", "use", "5f3a") == 0
    assert "Captures go to the disk 5f3a, 5.0 GB are free." in capsys.readouterr().out
    api.answer("PUT /disks/chosen", NONE)
    assert run(api, "disks", "use", "none") == 0
    api.answer("GET /disks", {**USED, "used": False, "free": None, "reason": "It is full.", "volumes": []})
    assert run(api, "disks", "list") == 0
    assert "to the disk 5f3a. It is full." in capsys.readouterr().out
    api.answer("POST /disks/remove", USED)
    assert run(api, "disks", "remove") == 0
    assert capsys.readouterr().out == "The disk can be pulled.\n"
    assert [body for request, body in api.asked if request.startswith("PUT")] == [
        {"uuid": "5f3a"},
        {"uuid": ""},
    ]
