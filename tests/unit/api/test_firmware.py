import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api.bench import Bench, make_bench
from tests.unit.firmware.bundle_making import FakeRauc, make_bundle, two_slots


@pytest.fixture
def rauc() -> FakeRauc:
    return FakeRauc()


@pytest.fixture
def bench(tmp_path: Path, rauc: FakeRauc) -> Bench:
    return make_bench(tmp_path / "device", two_slots(rauc))


def wait(bench: Bench) -> dict[str, Any]:
    for _ in range(1000):
        (action,) = bench.get("/status")["actions"]
        if action["state"] != "running":
            break
        time.sleep(0.01)
    found: dict[str, Any] = action
    return found


@pytest.mark.spec("U1", "U2", "W6")
def test_upload_install_activate_delete(bench: Bench, rauc: FakeRauc, tmp_path: Path) -> None:
    make_bundle(tmp_path / "a.raucb", "2.0.0")
    content = (tmp_path / "a.raucb").read_bytes()
    assert bench.call("PUT", "/firmware/files/a.raucb", content).status_code == 204
    versions = bench.get("/firmware")["versions"]
    assert [(each["place"], each["name"], each["version"]) for each in versions] == [
        ("slot-a", "slot-a", "1.0.0"),
        ("slot-b", "slot-b", "1.1.0"),
        ("file", "a.raucb", "2.0.0"),
    ]
    assert versions[2]["size"] == len(content)
    response = bench.call("POST", "/firmware/install", {"name": "a.raucb"})
    assert (response.status_code, response.json()) == (202, {"action": "firmware"})
    assert wait(bench)["state"] == "done"
    response = bench.call("POST", "/firmware/activate", {"slot": "slot-b", "restart": False})
    assert response.json() == {"version": "1.1.0", "restarts": False}
    bench.call("POST", "/firmware/activate", {"slot": "slot-b"})
    assert rauc.calls == ["install a.raucb", "active other", "active other", "restart"]
    assert bench.call("DELETE", "/firmware/files/a.raucb").status_code == 204
    kinds = [event["kind"] for event in bench.get("/firmware/events")]
    assert kinds == ["deleted", "activated", "activated", "installed"]
    assert bench.get("/status")["newer_firmware"] == ""


@pytest.mark.spec("U2")
def test_refusals_have_their_words_at_once(bench: Bench, tmp_path: Path) -> None:
    make_bundle(tmp_path / "old.raucb", "0.1.0")
    bench.call("PUT", "/firmware/files/old.raucb", (tmp_path / "old.raucb").read_bytes())
    error = bench.refused(409, "POST", "/firmware/install", {"name": "old.raucb"})
    assert (error["place"], "older" in error["message"]) == ("older", True)
    assert bench.call("POST", "/firmware/install", {"name": "old.raucb", "older": True}).status_code == 202
    wait(bench)
    assert "empty" in bench.refused(422, "PUT", "/firmware/files/b.raucb", b"")["message"]
    assert "not a firmware" in bench.refused(422, "PUT", "/firmware/files/b.raucb", b"x" * 9000)["message"]
    bench.refused(422, "PUT", "/firmware/files/b.txt", b"x")
    bench.refused(404, "POST", "/firmware/install", {"name": "missing.raucb"})
    bench.refused(404, "DELETE", "/firmware/files/missing.raucb")
    bench.refused(422, "POST", "/firmware/activate", {"slot": "factory"})
    bench.refused(503, "POST", "/firmware/check")
    assert bench.get("/firmware")["check_problem"] == "The update server cannot be used."
    names = [each["name"] for each in bench.get("/firmware")["versions"] if each["place"] == "file"]
    assert names == ["old.raucb"]


def test_a_machine_without_slots_says_so(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    answer = bench.get("/firmware")
    assert (answer["slot"], answer["versions"], answer["confirmed"]) == ("", [], True)
    assert "cannot be updated" in bench.refused(503, "PUT", "/firmware/files/a.raucb", b"x")["message"]
    assert bench.get("/firmware/events") == []
