from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.web.backend import Asker, Backend
from tests.harness.waiting import wait_for
from tests.unit.firmware.bundle_making import FakeRauc, make_bundle, two_slots
from tests.unit.web.world import Browser, World


@pytest.fixture
def rauc() -> FakeRauc:
    return FakeRauc()


@pytest.fixture
def world(tmp_path: Path, rauc: FakeRauc) -> Iterator[World]:
    made = World(tmp_path / "device", two_slots(rauc))
    yield made
    made.device.jobs.close()


def upload(admin: Browser, path: Path) -> int:
    """As the script of the page does."""
    headers = {"X-CSRF-Token": admin.csrf()}
    return admin.send(
        "PUT", f"/api/firmware/files/{path.name}", headers=headers, content=path.read_bytes()
    ).status_code


@pytest.mark.spec("U2", "W2")
def test_a_file_is_uploaded_installed_and_activated(world: World, rauc: FakeRauc, tmp_path: Path) -> None:
    admin = world.user("admin")
    make_bundle(tmp_path / "a.raucb", "2.0.0")
    assert upload(admin, tmp_path / "a.raucb") == 204
    page = admin.page("/firmware")
    assert "All about 2.0.0." in page
    assert "Slot A, running now" in page
    assert admin.post("/firmware/install", name="a.raucb").headers["location"] == "/firmware"
    wait_for(lambda: "Last action" in admin.page("/firmware"), "the installation's end", 20)
    assert rauc.calls
    answer = admin.post("/firmware/activate", name="slot-b")
    assert answer.status_code == 200
    assert "The device starts version" in answer.text
    wait_for(lambda: "restart" in rauc.calls, "the restart", 20)
    admin.post("/firmware/delete", name="a.raucb")
    assert "a.raucb is deleted." in admin.page("/firmware")


@pytest.mark.spec("U2")
def test_an_older_version_is_asked_for_by_its_name(world: World, tmp_path: Path) -> None:
    admin = world.user("admin")
    make_bundle(tmp_path / "old.raucb", "0.9.0")
    assert upload(admin, tmp_path / "old.raucb") == 204
    assert "It is older than the running version." in admin.page("/firmware")
    admin.post("/firmware/install", name="old.raucb")
    assert "older" in admin.page("/firmware").split("<main")[1].split("Versions at hand")[0]
    admin.post("/firmware/install", name="old.raucb", older="on")
    assert "old.raucb is being installed." in admin.page("/firmware")


@pytest.mark.spec("U2")
def test_the_page_is_made_anew_when_something_begins_or_ends(world: World) -> None:
    admin = world.user("admin")
    assert admin.get("/firmware/live?shown=none").status_code == 200
    with world.device.actions.running("firmware", "Writing slot-b.", "Done.") as handle:
        assert admin.get("/firmware/live?shown=none").headers["HX-Refresh"] == "true"
        handle.tell("Writing slot-b.", 0.25)
        live = admin.get("/firmware/live?shown=running").text
        assert 'value="0.25"' in live
    assert admin.get("/firmware/live?shown=running").headers["HX-Refresh"] == "true"


def test_without_an_update_server_the_check_says_so(world: World) -> None:
    admin = world.user("admin")
    admin.post("/firmware/check")
    assert admin.page("/firmware").count("The update server cannot be used.") == 1


def test_a_slot_without_a_version_is_no_alarm(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Backend.ask

    async def ask(self: Backend, asker: Asker, method: str, path: str, *more: Any) -> Any:
        answer = await real(self, asker, method, path, *more)
        if path == "/firmware":
            empty = next(each for each in answer["versions"] if each["place"] == "slot-b")
            empty.update(version="", problem="empty or damaged")
        return answer

    monkeypatch.setattr(Backend, "ask", ask)
    page = world.user("admin").page("/firmware")
    assert "Unknown version" not in page
    assert '<p class="quiet">empty or damaged: the next update is written here</p>' in page


@pytest.mark.spec("W1")
def test_others_than_administrators_only_look(world: World) -> None:
    viewer = world.user("viewer")
    page = viewer.page("/firmware")
    assert "Versions at hand" in page
    assert "Get new firmware" not in page
    for path in ("check", "download", "install", "activate", "delete"):
        viewer.post(f"/firmware/{path}", name="slot-b")
        assert "does not allow this" in viewer.page("/firmware")
