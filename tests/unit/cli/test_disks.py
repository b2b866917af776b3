import io

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
    "ring_objection": "exFAT cannot reserve the space.",
}
DISK = {
    "name": "sdb",
    "path": "/dev/sdb",
    "size": 32 * 10**9,
    "model": "Ultra Fit",
    "serial": "4C53",
    "transport": "usb",
    "removable": True,
    "holds": ["old (ntfs)"],
    "sequence": 7,
    "objections": [],
    "health": {"state": "good", "text": "It says that it is well."},
}
NONE = {
    "chosen": "",
    "used": False,
    "free": None,
    "reason": "",
    "ring": {"chosen": "", "used": False, "size_mib": 1024, "reason": ""},
    "volumes": [VOLUME],
    "running_from": None,
    "disks": [DISK],
    "known": [],
}
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


@pytest.mark.spec("W5")
def test_a_disk_is_formatted_after_its_name_was_typed(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer("GET /disks", NONE)
    api.answer("POST /disks/format", {"disk": DISK}, status=202)
    done = {"name": "format", "state": "done", "progress": 1.0, "text": "It is formatted."}
    api.answer("GET /status", {"actions": [done]})
    monkeypatch.setattr("sys.stdin", io.StringIO("sda\n"))
    assert run(api, "disks", "format", "sdb") == 1
    assert "Not confirmed. Nothing was written." in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("sdb\n"))
    assert run(api, "disks", "format", "/dev/sdb", "--kind", "ext4", "--name", "Hall 3") == 0
    shown = capsys.readouterr().out
    assert "Everything on /dev/sdb (Ultra Fit, 32.0 GB, serial 4C53) will be lost: old (ntfs)." in shown
    assert shown.endswith("It is formatted.\n")
    api.answer("GET /status", {"actions": [{**done, "state": "failed", "text": "It was pulled."}]})
    assert run(api, "disks", "format", "sdb", "--yes") == 1
    orders = [body for request, body in api.asked if request == "POST /disks/format"]
    assert orders == [
        {"disk": "sdb", "confirm": "sdb", "kind": "ext4", "label": "Hall 3", "sequence": 7},
        {"disk": "sdb", "confirm": "sdb", "kind": "exfat", "label": "ALLEGRO", "sequence": 7},
    ]


@pytest.mark.spec("W5")
def test_the_name_of_a_stick_controls_no_terminal(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answer("GET /disks", {**NONE, "disks": [{**DISK, "holds": ["\x1b[2Jharmless (ext4)"]}]})
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert run(api, "disks", "format", "sdb") == 1
    assert "will be lost: ?[2Jharmless (ext4)." in capsys.readouterr().out


@pytest.mark.spec("W5")
@pytest.mark.parametrize("listed", [[], [{**DISK, "objections": ["it is write-protected"]}]])
@pytest.mark.parametrize(
    ("words", "look", "order"),
    [
        (("disks", "format"), "GET /disks", "POST /disks/format"),
        (("install",), "GET /install", "POST /install"),
    ],
)
def test_a_disk_that_nobody_was_asked_about_is_not_confirmed_either(
    api: Api,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    look: str,
    order: str,
    listed: list[object],
) -> None:
    api.answer(look, {**NONE, "disks": listed})
    api.answer(order, {"error": {"message": "No disk sdb.", "place": "disk", "remedy": ""}}, status=404)
    assert run(api, *words, "sdb") == 1
    assert "No disk sdb." in capsys.readouterr().err
    # It may be there, or free, by now.
    assert [body["confirm"] for request, body in api.asked if request == order] == [""]


@pytest.mark.spec("W5")
def test_a_file_system_gets_another_name(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("PUT /disks/label", NONE)
    assert run(api, "disks", "rename", "5f3a", "STICK") == 0
    assert (
        "sdb   32.0 GB  usb  Ultra Fit  old (ntfs)  It says that it is well.  can be formatted"
        in capsys.readouterr().out
    )
    assert api.asked == [("PUT /disks/label", {"uuid": "5f3a", "label": "STICK"})]


@pytest.mark.spec("W5")
def test_disks_that_are_not_plugged_in_are_listed_and_forgotten(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {
        **{name: VOLUME[name] for name in ("uuid", "model", "serial", "kind", "size")},
        "label": "HALL3",
        "tasks": ["captures"],
        "plugged_in": False,
        "gone_since": "2026-11-30T12:00:00Z",
    }
    api.answer("GET /disks", {**NONE, "known": [gone]})
    assert run(api, "disks") == 0
    row = "5f3a  32.0 GB  Ultra Fit  HALL3  captures  2026-11-30T12:00:00Z"
    assert row in capsys.readouterr().out
    api.answer("DELETE /disks/known/5f3a", NONE)
    assert run(api, "disks", "forget", "5f3a") == 0
    assert "HALL3" not in capsys.readouterr().out


@pytest.mark.spec("W5")
def test_the_ring_is_sent_to_a_disk_and_fetched_back(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    ring = {"chosen": "9a", "used": True, "size_mib": 512, "reason": ""}
    api.answer("PUT /disks/ring", {**NONE, "ring": ring})
    assert run(api, "disks", "ring", "9a", "--size", "512") == 0
    assert capsys.readouterr().out == "The packet ring buffer has its place on the disk 9a, with 537 MB.\n"
    api.answer(
        "PUT /disks/ring", {**NONE, "ring": {**ring, "used": False, "reason": "It is not plugged in."}}
    )
    assert run(api, "disks", "ring", "9a") == 0
    assert "until the disk 9a can be used. It is not plugged in." in capsys.readouterr().out
    api.answer("POST /disks/ring/remove", NONE)
    assert run(api, "disks", "ring", "remove") == 0
    assert capsys.readouterr().out == "The disk can be pulled.\n"
    api.answer("PUT /disks/ring", NONE)
    assert run(api, "disks", "ring", "none") == 0
    assert "device's own disk." in capsys.readouterr().out
    assert [body for request, body in api.asked if request.startswith("PUT")] == [
        {"uuid": "9a", "size_mib": 512},
        {"uuid": "9a", "size_mib": None},
        {"uuid": "", "size_mib": None},
    ]
