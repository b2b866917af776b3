import json
import threading
from pathlib import Path

import pytest

from allegro.firmware.events import KEPT, Events


def test_events_are_kept_in_order_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "firmware" / "events.json"
    Events(path).add("installed", "Installed 2.0.0.")
    Events(path).add("fell-back", "Fell back.")
    assert [(event.kind, event.text) for event in Events(path).all()] == [
        ("installed", "Installed 2.0.0."),
        ("fell-back", "Fell back."),
    ]
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.json")
    for number in range(KEPT + 3):
        events.add("deleted", str(number))
    assert [event.text for event in events.all()][:: KEPT - 1] == ["3", str(KEPT + 2)]


def test_two_programs_lose_nothing(tmp_path: Path) -> None:
    def work(name: str) -> None:
        for number in range(30):
            Events(tmp_path / "events.json").add("deleted", f"{name}{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Events(tmp_path / "events.json").all()) == 60


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'[{"time_ns": "x"}]', b"\xff"])
def test_a_damaged_list_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.json"
    path.write_bytes(content)
    events = Events(path)
    assert events.all() == []
    events.add("confirmed", "Works.")
    assert [event.text for event in events.all()] == ["Works."]


@pytest.mark.spec("S2", "U7")
def test_events_of_another_version_stay_and_a_damaged_list_gives_way_to_its_copy(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    events = Events(path)
    newer = [{"time_ns": 1, "kind": "beamed", "text": "Up.", "by": "anna"}]
    path.write_text(json.dumps(newer))
    assert events.all() == []
    events.add("confirmed", "Works.")
    path.write_bytes(b"{")
    assert [event.text for event in events.all()] == ["Works."]
    events.add("deleted", "Gone.")
    assert json.loads(path.read_bytes())[0] == newer[0]
    assert [event.text for event in events.all()] == ["Works.", "Gone."]


def test_a_disk_that_refuses_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    Events(tmp_path / "file" / "events.json").add("confirmed", "Works.")
    assert "could not be kept" in caplog.text
