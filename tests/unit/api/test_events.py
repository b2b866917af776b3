"""The list of events by the API: who may write it, and what requests leave in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.api.asker import ROLE_HEADER, SOURCE_HEADER, USER_HEADER, WEB_PROGRAM
from tests.unit.api.bench import Bench, make_bench

pytestmark = pytest.mark.spec("S7", "W6")

ANNA = {USER_HEADER: "anna", ROLE_HEADER: "admin", SOURCE_HEADER: "192.0.2.7"}
LOGIN = {"kind": "login", "text": "Logged in", "who": "anna", "source": "192.0.2.7", "count": 3}
REPORT = {"events": [LOGIN]}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


def lines(bench: Bench) -> list[tuple[str, str, str, str]]:
    return [
        (each["kind"], each["who"], each["source"], each["text"]) for each in bench.get("/events")["events"]
    ]


def test_only_the_devices_programs_write_the_list(bench: Bench) -> None:
    for name in ("anna", "token:probe", "web", "program:other"):
        headers = {**ANNA, USER_HEADER: name}
        assert bench.call("POST", "/events", REPORT, headers).status_code == 403, name
    for role in ("viewer", "capture"):
        headers = {USER_HEADER: WEB_PROGRAM, ROLE_HEADER: role}
        assert bench.call("POST", "/events", REPORT, headers).status_code == 403, role
    assert lines(bench) == []
    assert bench.call("POST", "/events", REPORT, {**ANNA, USER_HEADER: WEB_PROGRAM}).status_code == 204
    assert bench.call("POST", "/events", REPORT).status_code == 204  # root
    [event] = bench.get("/events")["events"]
    assert (event["count"], event["kind"], event["who"]) == (6, "login", "anna")
    assert event["time"] <= event["last_time"]


@pytest.mark.parametrize("wrong", [{"kind": "beamed"}, {"count": 0}, {"text": "x" * 1001}, {"time": 1}])
def test_reports_are_checked(bench: Bench, wrong: dict[str, Any]) -> None:
    bench.refused(422, "POST", "/events", {"events": [LOGIN | wrong]})


def test_settings_are_named_and_their_values_are_not(bench: Bench) -> None:
    patch = {"export": {"host": "sftp.example", "password": "hunter2hunter2"}, "trigger": {"before_s": 77}}
    assert bench.call("PATCH", "/settings", patch, ANNA).status_code == 200
    assert bench.call("PATCH", "/settings/trigger", {"before_s": 77}, ANNA).status_code == 200
    assert bench.call("PATCH", "/settings", {"trigger": {"before_s": -1}}, ANNA).status_code == 422
    assert lines(bench) == [
        ("settings", "anna", "192.0.2.7", "Saved settings without a change"),
        ("settings", "anna", "192.0.2.7", "Changed trigger.before_s, export.host, export.password"),
    ]


def test_settings_are_named_as_deep_as_a_line_has_room_for(bench: Bench) -> None:
    told = {"presses": True, "captures": False, "uploads": True, "problems": False, "firmware": False}
    for patch, named in (
        ({"wifi": {"access_point": {"password": "hunter2hunter2"}}}, "wifi.access_point.password"),
        ({"notifications": {"mail": {"tell": {"access": True}}}}, "notifications.mail.tell.access"),
        (
            {"notifications": {"webhook": {"tell": told}, "mail": {"tell": told}}},
            "notifications.mail, notifications.webhook",
        ),
    ):
        assert bench.call("PATCH", "/settings", patch, ANNA).status_code == 200
        assert lines(bench)[0][3] == f"Changed {named}"


def test_downloads_deletions_presses_and_orders_are_in_it_and_looks_are_not(bench: Bench) -> None:
    (bench.paths.storage / "a.pcapng").write_bytes(b"packets")
    for method, path, body in (
        ("GET", "/status", None),
        ("HEAD", "/files/a.pcapng", None),
        ("GET", "/files/missing.pcapng", None),
        ("GET", "/files/a.pcapng", None),
        ("POST", "/trigger", {}),
        ("DELETE", "/files/a.pcapng", None),
        ("POST", "/power", {"action": "reboot"}),
        ("POST", "/reset", {}),
    ):
        bench.call(method, path, body, ANNA)
    assert [(kind, text) for kind, _, _, text in lines(bench)][::-1] == [
        ("download", "Downloaded a.pcapng"),
        ("press", "Pressed by page or program"),
        ("file", "Deleted a.pcapng"),
        ("power", "POST /api/power"),
        ("reset", "POST /api/reset"),
    ]


def test_a_viewer_learns_who_deleted_a_capture_and_nothing_else_of_the_list(bench: Bench) -> None:
    viewer = {USER_HEADER: "eve", ROLE_HEADER: "viewer"}
    told = {"kind": "user", "text": "Deleted bob", "who": "anna", "source": "192.0.2.7"}
    bench.call("POST", "/events", {"events": [told, {**told, "kind": "token"}]})
    assert ("user", "anna", "192.0.2.7", "Deleted bob") in lines(bench)
    assert bench.call("GET", "/export/sent?name=bob", headers=viewer).json()["deleted_by"] == {}
    for folder, path in ((bench.paths.storage, "/files/a"), (bench.paths.upload, "/export/files/b")):
        (folder / path[-1]).write_bytes(b"packets")
        assert bench.call("DELETE", path, headers=ANNA).status_code == 204
    answer = bench.call("GET", "/export/sent?name=bob&name=a&name=b", headers=viewer).json()
    assert answer["deleted_by"] == {"a": "anna", "b": "anna"}
    assert [kind for kind, _, _, text in lines(bench) if text in ("Deleted a", "Deleted b")] == ["file"] * 2
    assert bench.call("GET", "/events", headers=viewer).status_code == 403


def test_no_line_of_the_log_can_be_forged_or_long(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench.call("POST", "/%0Aroot:%20DELETE%20/api/files", {}, {**ANNA, USER_HEADER: "x y"})
    bench.call("POST", "/%E2%80%A8root", {}, ANNA)
    bench.call("POST", f"/{'x' * 3000}", {}, ANNA)
    said = [record.getMessage() for record in caplog.records if record.name == "allegro.api.audit"]
    assert said[0] == "anna: POST /api/\\u2028root: 404"
    assert all(len(each) < 300 and each.isprintable() for each in said)
    assert len(said) == 2, "a path with a line break is refused before"
    assert lines(bench) == []


def test_the_list_is_paged(bench: Bench) -> None:
    for number in range(5):
        (bench.paths.storage / f"{number}.pcapng").write_bytes(b"packets")
        bench.call("GET", f"/files/{number}.pcapng", headers=ANNA)
    first = bench.get("/events?limit=3")
    second = bench.get(f"/events?limit=3&before={first['before']}")
    assert [each["id"] for each in first["events"] + second["events"]] == [5, 4, 3, 2, 1]
    assert second["before"] is None
    bench.refused(422, "GET", "/events?limit=501")
