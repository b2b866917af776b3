import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.system.health import Problem
from tests.unit.api.bench import Bench, make_bench

MANUAL = Path(__file__).resolve().parents[3] / "docs/manual/rest-api.md"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One for all tests that show that it does nothing."""
    made = make_bench(tmp_path_factory.mktemp("untouched"))
    yield made
    made.jobs.close()


def test_status_shows_the_device_at_a_glance(bench: Bench) -> None:
    bench.problems.append(Problem("no-link", "warning", "No link.", "Plug in the cable."))
    bench.actions.start("install", "Copying.")
    status = bench.get("/status")
    assert (status["name"], status["firmware"]) == ("allegro-mm-3456", "1.2.3")
    assert status["ring"]["state"] == "recording"
    assert status["presenters"] == ["Logitech R400"]
    assert status["problems"] == [
        {"id": "no-link", "severity": "warning", "text": "No link.", "remedy": "Plug in the cable."}
    ]
    assert status["actions"] == [
        {"name": "install", "text": "Copying.", "progress": None, "state": "running"}
    ]
    assert status["storage"]["size"] >= status["storage"]["free"] > 0


@pytest.mark.spec("W2")
def test_the_log_by_level_and_number(bench: Bench) -> None:
    texts = [entry["text"] for entry in bench.get("/log")["entries"]]
    assert texts == ["Ready", "<disk> \x1b[31mfailed", "slow"]
    (newest,) = bench.get("/log?limit=1&level=warning")["entries"]
    assert newest == {
        "time": "2026-11-21T14:30:07.000000000Z",
        "level": "warning",
        "program": "allegro-web",
        "text": "slow",
    }
    assert bench.refused(422, "GET", "/log?limit=0")["place"] == "limit"
    assert bench.refused(422, "GET", "/log?level=loud")["place"] == "level"


@pytest.mark.spec("W9")
@pytest.mark.parametrize("action", ["reboot", "power-off"])
def test_power_does_what_is_asked_for(bench: Bench, action: str) -> None:
    assert bench.call("POST", "/power", {"action": action}).status_code == 202
    assert bench.power == [action]


@pytest.mark.parametrize("body", [None, {}, {"action": "explode"}, {"action": "reboot", "now": True}])
def test_power_does_nothing_else(bench: Bench, body: object) -> None:
    assert bench.call("POST", "/power", body).status_code == 422
    assert bench.power == []


@pytest.mark.spec("W9", "U5")
@pytest.mark.parametrize("keep", [[], ["users"], ["management", "users", "storage", "keys"]])
def test_reset_keeps_what_is_asked_for(bench: Bench, keep: list[str]) -> None:
    assert bench.call("POST", "/reset", {"keep": keep}).status_code == 202
    assert bench.resets == [keep]


def test_reset_keeps_nothing_unless_asked(bench: Bench) -> None:
    assert bench.call("POST", "/reset", {}).status_code == 202
    assert bench.resets == [[]]


@pytest.mark.parametrize("body", [None, {"keep": ["everything"]}, {"keep": "users"}, {"spare": []}])
def test_reset_refuses_what_it_does_not_understand(bench: Bench, body: object) -> None:
    assert bench.call("POST", "/reset", body).status_code == 422
    assert bench.resets == []


@pytest.mark.spec("R6")
def test_ring_shows_what_the_recorder_says(bench: Bench) -> None:
    ring = bench.get("/ring")
    assert (ring["size"], ring["used"], ring["ring_packets"], ring["drops"]) == (1 << 30, 1 << 20, 7, 2)
    assert ring["oldest_time"] < ring["newest_time"]
    assert ring["ports"][0]["name"] == "port1"
    assert ring["ports"][0]["nic_missed"] == 1


def test_ring_of_a_silent_recorder(bench: Bench) -> None:
    bench.recorder = None
    ring = bench.get("/ring")
    assert ring["state"] == "silent"
    assert ring["message"]
    assert ring["ports"] == []


@pytest.mark.spec("T3", "T8")
def test_trigger_makes_a_job_with_the_window_asked_for(bench: Bench) -> None:
    body = {"before_s": 1.5, "after_s": 2, "time": "2026-11-21T14:30:05.5Z", "key": "next", "source": "page"}
    body["filter"] = "port==80"
    response = bench.call("POST", "/trigger", body)
    assert response.status_code == 202
    job = response.json()
    assert job["state"] == "accepted"
    assert (job["source"], job["key"], job["filter"]) == ("page", "next", "port == 80")
    assert job["press_time"] == "2026-11-21T14:30:05.500000000Z"
    assert job["start_time"] == "2026-11-21T14:30:04.000000000Z"
    assert job["end_time"] == "2026-11-21T14:30:07.500000000Z"
    assert bench.get(f"/jobs/{job['id']}") == job
    assert bench.get("/jobs") == [job]


@pytest.mark.spec("T3")
@pytest.mark.parametrize("body", [None, {}])
def test_trigger_without_anything_takes_the_settings(bench: Bench, body: object) -> None:
    bench.settings.change({"trigger": {"before_s": 30, "after_s": 5, "filter": "vlan == 7"}})
    job = bench.call("POST", "/trigger", body).json()
    assert (job["before_s"], job["after_s"], job["source"], job["key"]) == (30, 5, "api", "manual")
    assert job["filter"] == "vlan == 7"


BAD_TRIGGERS: list[tuple[object, str, str]] = [
    ({"before_s": -1}, "before_s", "from 0 to 86400"),
    ({"before_s": 86401}, "before_s", "from 0 to 86400"),
    ({"after_s": -0.5}, "after_s", "from 0 to 3600"),
    ({"after_s": 1e300}, "after_s", "from 0 to 3600"),
    ({"before_s": "long"}, "before_s", "Must be a number"),
    ({"time": "2126-01-01T00:00:00Z"}, "time", "begin in the future"),
    ({"time": "yesterday"}, "time", "is not a time"),
    ({"time": "9999-12-31T23:59:59-23:59"}, "time", "years 1 to 9999"),
    ({"time": 5}, "time", "Must be text"),
    ({"key": "../../etc"}, "key", "pattern"),
    ({"key": "Big"}, "key", "pattern"),
    ({"source": "presenter"}, "source", "'api', 'cli' or 'page'"),
    ({"filters": "ip"}, "filters", "There is no such field"),
    ({"filter": "ip"}, "filter", "Column 3"),
    ({"filter": 5}, "filter", "Must be text"),
    ({"filter": "interface == port9"}, "filter", "no interface is called"),
    ([], "", "A JSON object is expected"),
    (b"{", "", "not valid JSON"),
    (b"\xff\xfe", "", ""),
]


@pytest.mark.parametrize(("body", "place", "message"), BAD_TRIGGERS)
def test_a_bad_trigger_is_refused_in_plain_words(
    untouched: Bench, body: object, place: str, message: str
) -> None:
    response = untouched.call("POST", "/trigger", body)
    assert response.status_code in (400, 422), response.text
    error = response.json()["error"]
    assert error["place"] == place or not message
    assert message in error["message"]
    assert untouched.get("/jobs") == []


def test_a_body_that_does_not_say_it_is_json_is_refused(bench: Bench) -> None:
    response = bench.call("POST", "/trigger", {"before_s": 5}, headers={"Content-Type": "text/plain"})
    assert response.status_code == 422
    assert "Content-Type: application/json" in response.json()["error"]["message"]


def test_a_trigger_without_ring_is_refused_with_the_reason(bench: Bench) -> None:
    bench.recorder = None
    job = bench.call("POST", "/trigger").json()
    assert job["state"] == "refused"
    assert "no packet ring buffer" in job["message"]


def test_a_job_can_be_cancelled_once(bench: Bench) -> None:
    job = bench.call("POST", "/trigger").json()
    assert bench.call("POST", f"/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    error = bench.refused(409, "POST", f"/jobs/{job['id']}/cancel")
    assert "ended already" in error["message"]


def test_jobs_are_limited_and_newest_first(bench: Bench) -> None:
    ids = [bench.call("POST", "/trigger").json()["id"] for _ in range(3)]
    assert [job["id"] for job in bench.get("/jobs?limit=2")] == [ids[2], ids[1]]
    assert bench.refused(422, "GET", "/jobs?limit=0")["place"] == "limit"
    assert bench.refused(422, "GET", "/jobs/x")["place"] == "job_id"
    assert "no capture number 99" in bench.refused(404, "GET", "/jobs/99")["message"]


def test_a_format_that_a_newer_version_made_is_shown_as_it_is(bench: Bench) -> None:
    made = bench.call("POST", "/trigger").json()
    with contextlib.closing(sqlite3.connect(bench.paths.database)) as database, database:
        database.execute("UPDATE jobs SET format = 'pcapng.zst'")
    assert bench.get(f"/jobs/{made['id']}")["format"] == "pcapng.zst"
    assert [job["format"] for job in bench.get("/jobs")] == ["pcapng.zst"]


def test_settings_change_is_merged_and_kept(bench: Bench) -> None:
    answer = bench.call("PATCH", "/settings", {"trigger": {"before_s": 90}})
    assert answer.status_code == 200
    assert answer.json()["settings"]["trigger"]["before_s"] == 90
    assert answer.json()["settings"]["trigger"]["debounce_ms"] == 1000
    assert answer.json()["warnings"] == []
    assert bench.get("/settings") == answer.json()["settings"]


def test_the_password_never_comes_back(bench: Bench) -> None:
    answer = bench.call("PATCH", "/settings", {"export": {"password": "geheim", "host": "files.example"}})
    assert "geheim" not in answer.text
    shown = bench.get("/settings")
    assert shown["export"]["password"] == "********"
    shown["export"]["username"] = "probe"
    assert bench.call("PATCH", "/settings", shown).status_code == 200
    assert bench.settings.current.export.password == "geheim"
    assert bench.settings.current.export.username == "probe"


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        ({"trigger": {"before_s": -1}}, "trigger.before_s"),
        ({"trigger": {"nope": 1}}, "trigger.nope"),
        ({"management": {"mode": "static"}}, "management.address"),
        ([1], ""),
    ],
)
def test_a_bad_setting_is_named_and_nothing_saved(bench: Bench, patch: object, place: str) -> None:
    before = bench.get("/settings")
    assert bench.refused(422, "PATCH", "/settings", patch)["place"] == place
    assert bench.get("/settings") == before


def test_files_are_listed_and_downloaded_also_in_part(bench: Bench) -> None:
    (bench.paths.storage / "a.pcapng").write_bytes(b"0123456789")
    (bench.paths.upload / "b.pcapng").write_bytes(b"x")
    (bench.paths.storage / ".hidden.partial").write_bytes(b"x")
    listed = bench.get("/files")
    assert [(file["name"], file["directory"], file["size"]) for file in listed] == [
        ("a.pcapng", "storage", 10),
        ("b.pcapng", "upload", 1),
    ]
    whole = bench.call("GET", "/files/a.pcapng")
    assert whole.content == b"0123456789"
    assert whole.headers["content-type"] == "application/vnd.tcpdump.pcap"
    part = bench.call("GET", "/files/a.pcapng", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert bench.call("GET", "/files/b.pcapng").content == b"x"


@pytest.mark.spec("W14")
def test_files_are_listed_in_parts_by_name_or_the_newest_first(bench: Bench) -> None:
    for number in range(7):
        file = (bench.paths.upload if number % 2 else bench.paths.storage) / f"{number}.pcapng"
        file.write_bytes(b"x")
        os.utime(file, ns=(0, (number + 3) % 7 * 10**9))

    def names(query: str) -> str:
        return "".join(file["name"][0] for file in bench.get(f"/files{query}"))

    assert names("") == names("?offset=0") == "0123456"
    assert (names("?limit=3"), names("?limit=3&offset=6"), names("?offset=7")) == ("012", "6", "")
    assert names("?order=newest") == "3210654"
    assert names("?order=newest&limit=2&offset=1") == "21"
    assert names("?name=5.pcapng&name=nothing&name=2.pcapng") == "25"
    for query, place in (("limit=0", "limit"), ("limit=1001", "limit"), ("offset=-1", "offset")):
        assert bench.refused(422, "GET", f"/files?{query}")["place"] == place
    assert bench.refused(422, "GET", "/files?name=..")["place"] == "name"
    many = "&".join(["name=x"] * 101)
    assert bench.refused(422, "GET", f"/files?{many}")["place"] == "name"


@pytest.mark.spec("W14")
def test_jobs_and_the_queue_are_listed_in_parts(bench: Bench) -> None:
    for _ in range(5):
        bench.call("POST", "/trigger", {})

    def ids(query: str) -> list[int]:
        return [job["id"] for job in bench.get(f"/jobs{query}")]

    assert ids("") == [5, 4, 3, 2, 1]
    assert (ids("?limit=2&offset=2"), ids("?offset=4"), ids("?offset=5")) == ([3, 2], [1], [])
    assert bench.refused(422, "GET", f"/jobs?offset={2**63}")["place"] == "offset"
    for name in "abc":
        (bench.paths.upload / name).write_bytes(b"x")
    part = bench.get("/export?limit=2")
    assert ([file["name"] for file in part["queue"]], part["waiting"]) == (["a", "b"], 3)
    assert len(bench.get("/export")["queue"]) == 3


@pytest.mark.parametrize("name", ["nope.pcapng", ".hidden.partial", "..%2Fsettings.json", "upload", "%00"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_only_finished_files_are_reachable(bench: Bench, method: str, name: str) -> None:
    (bench.paths.storage / ".hidden.partial").write_bytes(b"x")
    bench.settings.change({"trigger": {"before_s": 90}})
    response = bench.call(method, f"/files/{name}", {"name": "b"} if method == "PATCH" else None)
    assert response.status_code in (400, 404, 422), response.text
    assert response.json()["error"]["message"]
    assert (bench.paths.storage / ".hidden.partial").exists()
    assert bench.paths.settings.exists()


def test_a_file_can_be_deleted_once(bench: Bench) -> None:
    path = bench.paths.storage / "a.pcapng"
    path.write_bytes(b"x")
    assert bench.call("DELETE", "/files/a.pcapng").status_code == 204
    assert not path.exists()
    assert "no file a.pcapng" in bench.refused(404, "DELETE", "/files/a.pcapng")["message"]


@pytest.mark.spec("X1")
def test_export_shows_queue_and_public_key(bench: Bench) -> None:
    (bench.paths.upload / "b.pcapng").write_bytes(b"x")
    keyless = bench.get("/export?key=false")
    assert not bench.paths.ssh.exists(), "nobody has asked for a key yet"
    export = bench.get("/export")
    assert keyless == {**export, "public_key": ""}
    assert export["state"] == "off"
    assert export["public_key"].startswith("ssh-ed25519 ")
    assert [(file["name"], file["released"]) for file in export["queue"]] == [("b.pcapng", False)]
    assert bench.call("DELETE", "/export/files/b.pcapng").status_code == 204
    assert bench.get("/export")["queue"] == []


@pytest.mark.spec("X2")
def test_export_pins_a_host_key(bench: Bench) -> None:
    key = "SHA256:" + "A" * 43
    assert bench.call("POST", "/export/host-key", {"fingerprint": key}).json()["host_key"] == key
    assert bench.settings.current.export.host_key == key
    assert bench.settings.current.export.host_key_type == "", "no test has shown it"
    assert bench.refused(422, "POST", "/export/host-key", {"fingerprint": "x"})["place"] == "export.host_key"


@pytest.mark.spec("X2")
def test_a_host_key_that_no_test_has_shown_is_not_pinned_by_itself(bench: Bench) -> None:
    bench.call("PATCH", "/settings", {"export": {"host": "127.0.0.1", "port": 1, "username": "u"}})
    error = bench.refused(409, "POST", "/export/host-key", {})
    assert "Run the test upload first" in error["remedy"]
    assert bench.settings.current.export.host_key == ""


@pytest.mark.parametrize("action", ["now", "test"])
def test_export_without_server_says_so(bench: Bench, action: str) -> None:
    assert bench.refused(409, "POST", f"/export/{action}")["message"] == "No SFTP server is set up yet."


def test_unknown_addresses_and_methods_are_answered_in_the_same_shape(bench: Bench) -> None:
    assert bench.refused(404, "GET", "/nope")["message"] == "There is no such address in this API."
    assert bench.refused(405, "DELETE", "/status")["message"] == "DELETE is not possible here."


def test_the_unexpected_is_logged_and_told_without_traceback(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.recorder = "nonsense"  # type: ignore[assignment]
    error = bench.refused(500, "GET", "/ring")
    assert "unexpected" in error["message"]
    assert "nonsense" not in error["message"]
    assert any(record.exc_info for record in caplog.records)


def _operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


NO_JSON = ("GET /api/files/{name}", "GET /api/archive", "GET /api/events/stream")


@pytest.mark.spec("W6")
def test_the_description_tells_every_answer(bench: Bench) -> None:
    description = bench.get("/openapi.json")
    seen = dict(_operations(description))
    assert len(seen) >= 15
    for name, operation in seen.items():
        answers = operation["responses"]
        assert operation.get("description"), name
        for failure in ("4XX", "5XX"):
            schema = answers[failure]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/ErrorAnswer"}, name
        assert "422" not in answers, f"{name}: described in another shape than it has"
        good = [code for code in answers if code.startswith("2")]
        assert len(good) == 1, name
        if good != ["204"]:
            (content,) = answers[good[0]]["content"].values()
            assert content.get("schema") or name in NO_JSON, name


@pytest.mark.spec("W6")
def test_the_manual_names_every_path_of_the_description(bench: Bench) -> None:
    table = [line for line in MANUAL.read_text().splitlines() if line.startswith("| `")]
    described = [path for path in bench.get("/openapi.json")["paths"] if path != "/api/openapi.json"]
    missing = []
    for path in described:
        noun, *below = (part for part in path.removeprefix("/api/").split("/") if "{" not in part)
        here = [line for line in table if re.search(rf"/api/{noun}\b", line)]
        if not any(all(re.search(rf"/{part}\b", line) for part in below) for line in here):
            missing.append(path)
    assert len(described) > 30
    assert missing == []


@pytest.mark.spec("W6")
def test_every_field_of_an_answer_is_in_the_description(bench: Bench) -> None:
    description = bench.get("/openapi.json")
    bench.call("POST", "/trigger")
    for path in ("/status", "/ring", "/settings", "/export"):
        schema = description["paths"][f"/api{path}"]["get"]["responses"]["200"]["content"]["application/json"]
        name = schema["schema"]["$ref"].rpartition("/")[2]
        properties = description["components"]["schemas"][name]["properties"]
        assert bench.get(path).keys() == properties.keys(), path


@pytest.mark.spec("W13", "W6")
def test_a_change_made_for_other_settings_is_told_and_not_saved(bench: Bench) -> None:
    read = bench.call("GET", "/settings/trigger")
    tag = read.headers["ETag"]
    assert read.json()["before_s"] == 60
    first = bench.call("PATCH", "/settings/trigger", {"before_s": 300}, {"If-Match": tag})
    assert (first.status_code, first.json()["settings"]["trigger"]["before_s"]) == (200, 300)
    assert first.headers["ETag"] == bench.call("GET", "/settings/trigger").headers["ETag"] != tag
    late = bench.call("PATCH", "/settings/trigger", {"after_s": 5}, {"If-Match": tag})
    assert late.status_code == 412
    assert late.json()["error"] == {
        "message": "Somebody else has changed these settings meanwhile; nothing was saved.",
        "place": "trigger",
        "remedy": "Look at them again, then repeat your change.",
    }
    assert bench.settings.current.trigger.after_s == 0


@pytest.mark.spec("W13", "W6")
def test_what_a_change_is_made_for(bench: Bench) -> None:
    def status(path: str, body: object, tag: str) -> int:
        return bench.call("PATCH", path, body, {"If-Match": tag}).status_code

    trigger, export, whole = (
        bench.call("GET", f"/settings{name}").headers["ETag"] for name in ("/trigger", "/export", "")
    )
    assert status("/settings/trigger", {"after_s": 1}, trigger) == 200
    assert status("/settings/export", {"port": 2222}, export) == 200, "another section is nobody's business"
    assert status("/settings", {"trigger": {"after_s": 2}}, whole) == 412
    assert status("/settings/trigger", {"after_s": 3}, "") == 412
    assert status("/settings/trigger", {"after_s": 4}, "*") == 200
    now = bench.call("GET", "/settings").headers["ETag"]
    assert status("/settings", {"trigger": {"after_s": 5}}, f'"x", {now}') == 200
    assert bench.settings.current.trigger.after_s == 5


@pytest.mark.spec("W6")
def test_one_section_is_judged_as_all_of_them(bench: Bench) -> None:
    assert bench.refused(422, "PATCH", "/settings/trigger", {"before_s": -1})["place"] == "trigger.before_s"
    assert bench.refused(422, "PATCH", "/settings/trigger", {"x": 1})["place"] == "trigger.x"
    for name in ("nonsense", "schema_version"):
        assert bench.refused(404, "GET", f"/settings/{name}")["place"] == "section"
        assert bench.refused(404, "PATCH", f"/settings/{name}", {})["place"] == "section"
    bench.call("PATCH", "/settings/export", {"password": "geheim"})
    assert bench.get("/settings/export")["password"] == "********"
