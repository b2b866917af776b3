from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.api.asker import ROLE_HEADER, USER_HEADER
from tests.unit.api.bench import Bench, make_bench

pytestmark = pytest.mark.spec("W9")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


def exported(bench: Bench, **body: object) -> dict[str, Any]:
    answer = bench.call("POST", "/configuration/export", body)
    assert answer.status_code == 200, answer.text
    file: dict[str, Any] = answer.json()
    return file


def test_what_was_exported_is_compared_and_imported(bench: Bench) -> None:
    bench.settings.change({"trigger": {"before_s": 90}, "export": {"password": "geheim"}})
    file = exported(bench, password="only for this")
    assert (file["device"], file["firmware"]) == ("allegro-mm-3456", "1.2.3")
    bench.settings.change(
        {"trigger": {"before_s": 60, "after_s": 3}, "export": {"password": "x", "port": 23}}
    )
    body = {"file": file, "password": "only for this"}
    compared = bench.call("POST", "/configuration/compare", body)
    assert compared.status_code == 200, compared.text
    found = {each["place"]: (each["before"], each["after"]) for each in compared.json()["changes"]}
    assert found == {
        "trigger.before_s": (60, 90),
        "trigger.after_s": (3, 0),
        "export.port": (23, 22),
        "export.password": ("********", "********"),
    }
    assert compared.json()["has_secrets"]
    assert "geheim" not in compared.text
    assert bench.settings.current.trigger.before_s == 60, "a comparison changes nothing"

    tag = {"If-Match": compared.json()["etag"]}
    done = bench.call("POST", "/configuration/import", {**body, "sections": ["trigger"]}, tag)
    assert (done.status_code, done.json()["left_out"], done.json()["warnings"]) == (200, [], [])
    assert (bench.settings.current.trigger.before_s, bench.settings.current.export.port) == (90, 23)
    late = bench.call("POST", "/configuration/import", body, tag)
    assert late.status_code == 412
    assert bench.settings.current.export.password == "x"
    assert bench.call("POST", "/configuration/import", body).status_code == 200
    assert bench.settings.current.export.password == "geheim"


def test_an_import_is_checked_as_a_whole_and_named_in_the_list_of_events(bench: Bench) -> None:
    file = exported(bench)
    file["settings"]["management"] |= {"mode": "static", "address": "192.168.77.1/24"}
    file["settings"]["wifi"]["access_point"]["address"] = "192.168.77.2/24"
    file["settings"]["wifi"]["mode"] = "access-point"
    file["settings"]["trigger"]["before_s"] = 300
    answer = bench.call("POST", "/configuration/compare", {"file": file})
    assert answer.status_code in (200, 422)
    if answer.status_code == 200:
        assert answer.json()["left_out"] != []
    assert bench.settings.current.trigger.before_s == 60
    del file["settings"]["wifi"]
    assert bench.call("POST", "/configuration/import", {"file": file}).status_code == 200
    newest = bench.get("/events")["events"][0]
    assert newest["text"].startswith("Imported a configuration: Changed trigger.before_s, management.")
    assert newest["kind"] == "settings"


@pytest.mark.parametrize("password", ["short", " " * 9])
def test_secrets_want_a_password_that_is_worth_the_name(bench: Bench, password: str) -> None:
    assert bench.refused(422, "POST", "/configuration/export", {"password": password})["place"] == "password"


def test_the_last_changes_name_who_made_them_and_lead_back(bench: Bench) -> None:
    by = {USER_HEADER: "anna", ROLE_HEADER: "admin"}
    bench.call("PATCH", "/settings", {"trigger": {"before_s": 70}}, by)
    bench.call("PATCH", "/settings/trigger", {"after_s": 7})
    assert bench.call("PUT", "/disks/chosen", {"uuid": ""}, by).status_code == 200
    changes = bench.get("/configuration/history")["changes"]
    assert [(each["id"], each["who"]) for each in changes] == [(2, "root"), (1, "anna")]
    assert [one["place"] for one in changes[0]["changes"]] == ["trigger.after_s"]
    back = bench.call("POST", "/configuration/history/1/return", headers=by)
    assert back.status_code == 200, back.text
    assert back.json()["settings"] == bench.get("/settings")
    assert (bench.settings.current.trigger.before_s, bench.settings.current.trigger.after_s) == (60, 0)
    assert bench.get("/configuration/history")["changes"][0]["who"] == "anna"
    assert bench.get("/events")["events"][0]["text"].startswith("Went back to before change 1: Changed")
    assert bench.refused(404, "POST", "/configuration/history/9/return")["place"] == "number"
