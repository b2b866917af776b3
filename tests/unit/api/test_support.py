import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from allegro.api.asker import ROLE_HEADER, USER_HEADER
from allegro.errors import Unavailable
from allegro.settings.masks import is_secret
from tests.unit.api.bench import Bench, make_bench

pytestmark = pytest.mark.spec("W9")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


def bundle(bench: Bench) -> Mapping[str, str]:
    answer = bench.call("GET", "/support")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert "allegro-mm-3456-support-" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def secrets(settings: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[str, Any]:
    """A value of its own for each secret there is."""
    patch: dict[str, Any] = {}
    for name, value in settings.items():
        place = (*above, name)
        if isinstance(value, dict):
            if below := secrets(value, place):
                patch[name] = below
        elif is_secret(place):
            patch[name] = "https://hooks.example/Geheim" if name == "url" else f"Geheim{name}1"
    return patch


def test_it_tells_everything_but_secrets(bench: Bench) -> None:
    patch = secrets(bench.settings.current.model_dump(mode="json"))
    assert len(str(patch).split("Geheim")) >= 6
    bench.call("PATCH", "/settings", patch)
    assert bench.settings.current.export.password == "Geheimpassword1"
    (bench.paths.storage / "a.pcapng").write_bytes(b"packets of others")
    found = bundle(bench)
    assert json.loads(found["status.json"])["name"] == "allegro-mm-3456"
    assert json.loads(found["settings.json"]) == bench.get("/settings")
    assert found["version.txt"] == "Allegro 1.2.3\n"
    assert "allegro-supervisor" in found["log.json"]
    assert "Changed export.password" in found["events.json"]
    told = "".join(found.values())
    assert "Geheim" not in told
    assert "packets of others" not in told
    assert bench.get("/events")["events"][0]["text"] == "Downloaded a support bundle"


def test_what_cannot_be_told_keeps_nothing_else_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_limit: int = 0, _offset: int = 0) -> Any:
        raise Unavailable("The list of captures cannot be read.")

    def worse() -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.jobs, "recent", broken)
    monkeypatch.setattr(bench.wifi.care, "state", worse, raising=False)
    found = bundle(bench)
    assert "The list of captures cannot be read." in found["jobs.json"]
    assert json.loads(found["settings.json"]) == bench.get("/settings")


def test_only_administrators_and_head_without_a_body(bench: Bench) -> None:
    by = {USER_HEADER: "vera", ROLE_HEADER: "capture"}
    assert bench.call("GET", "/support", headers=by).status_code == 403
    looked = bench.call("HEAD", "/support")
    assert (looked.status_code, looked.content) == (200, b"")


def test_recording_is_restarted_and_who_did_it_is_listed(bench: Bench) -> None:
    assert bench.call("POST", "/ring/restart").status_code == 204
    assert bench.asked == ["restart recording"]
    assert bench.get("/events")["events"][0]["text"] == "Restarted recording"
