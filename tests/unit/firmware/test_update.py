import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound, Unavailable
from allegro.firmware import boot_state
from allegro.firmware.authority import Authority
from allegro.firmware.boot_state import BAD, PROVEN, BootState, SlotState
from allegro.firmware.bundles import Refusal
from allegro.firmware.device_around import Surroundings
from allegro.firmware.release_index import Offer
from allegro.firmware.releases import Release
from allegro.firmware.trial import Trial, TrialNote
from allegro.firmware.update import FirmwareService
from allegro.system.actions import Actions
from tests.harness.certificates import TestAuthority, cms
from tests.unit.firmware.bundle_making import COMPATIBLE, FakeRauc, make_bundle

SLOT_SIZE = 10_000_000


class FakeServer:
    """Serves the bundles of a folder with an index that the authority signed."""

    def __init__(self, folder: Path, authority: TestAuthority) -> None:
        self.folder = folder
        self.authority = authority
        self.signer = authority.issue("maker")
        self.compatible = COMPATIBLE
        self.closed = 0
        self.versions: list[dict[str, Any]] = []

    def offer(self, version: str, holds: str = "") -> None:
        path = self.folder / f"allegro-{version}.raucb"
        make_bundle(path, holds or version)
        content = path.read_bytes()
        self.versions.append(
            {
                "version": version,
                "file": path.name,
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "date": "2026-11-05",
                "notes": "From the server.",
            }
        )

    def index(self) -> bytes:
        content = {"format": 1, "compatible": self.compatible, "created": "", "versions": self.versions}
        return cms(json.dumps(content).encode(), self.signer)

    def download(
        self, offer: Offer, target: Path, progress: Callable[[float], None], stop: threading.Event
    ) -> None:
        progress(0.5)
        target.write_bytes((self.folder / offer.file).read_bytes())

    def close(self) -> None:
        self.closed += 1


@dataclass
class World:
    folder: Path
    rauc: FakeRauc
    server: FakeServer
    actions: Actions
    state: BootState
    slots: dict[str, Release]
    restarts: list[str]
    slot: Any = "slot-a"
    boot_id: str = "run-1"
    version: str = "1.0.0"

    def service(self) -> FirmwareService:
        """The service as it is after a start of the supervisor."""
        around = Surroundings(
            version=self.version,
            slot=self.slot,
            boot_id=self.boot_id,
            authority=lambda: Authority(COMPATIBLE, self.server.authority.certificate, ""),
            installer=self.rauc,
            server=lambda: self.server,
            boot_state=lambda: self.state,
            look=self.slots.get,
            own_release=lambda: self.slots.get(self.slot),
            slot_size=lambda _slot: SLOT_SIZE,
            recording=lambda: False,
            restart=lambda: self.restarts.append("restart"),
        )
        made = FirmwareService(self.folder, around, self.actions)
        made.start()
        return made

    def bundle(self, version: str = "2.0.0", **changes: Any) -> Path:
        """A bundle outside of the device."""
        path = self.folder.parent / f"allegro-{version}.raucb"
        make_bundle(path, version, **changes)
        return path

    def upload(self, service: FirmwareService, path: Path) -> str:
        content = path.read_bytes()
        with service.receive(path.name, len(content)) as write:
            for at in range(0, len(content), 100_000):
                write(content[at : at + 100_000])
        return path.name

    def files(self) -> list[str]:
        """Everything in the folder except our own notes."""
        return sorted(
            path.name
            for path in self.folder.iterdir()
            if "events" not in path.name and "trial" not in path.name
        )

    def told(self) -> list[str]:
        """The events."""
        return [event.text for event in self.service().events()]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def world(tmp_path: Path, authority: TestAuthority) -> World:
    (tmp_path / "served").mkdir()
    return World(
        folder=tmp_path / "firmware",
        rauc=FakeRauc(),
        server=FakeServer(tmp_path / "served", authority),
        actions=Actions(),
        state=BootState(),
        slots={"slot-a": Release("1.0.0", "2026-10-01", "First."), "factory": Release("1.0.0")},
        restarts=[],
    )


@pytest.mark.spec("U1", "U2")
def test_from_an_upload_to_the_activation(world: World) -> None:
    service = world.service()
    name = world.upload(service, world.bundle())
    assert world.files() == [name]
    assert service.install(name) == "slot-b"
    assert world.rauc.calls == [f"install {name}"]
    (action,) = world.actions.all()
    assert (action.name, action.state) == ("firmware", "done")
    world.slots["slot-b"] = Release("2.0.0")
    assert service.activate("slot-b") == "2.0.0"
    assert world.rauc.calls[-1] == "active other"
    assert world.restarts == ["restart"]
    assert [event.kind for event in service.events()] == ["installed", "activated"]
    # The new version starts, is confirmed (see test_confirm of the supervisor), and all is as it should be.
    world.slot, world.boot_id, world.version = "slot-b", "run-2", "2.0.0"
    assert world.service().fall_back() == ""


def test_all_versions_at_hand(world: World) -> None:
    service = world.service()
    world.upload(service, world.bundle("0.9.0"))
    world.upload(service, world.bundle("2.0.0"))
    world.server.offer("2.0.0")
    world.server.offer("2.1.0")
    assert service.newer() == ""
    assert service.check() == "2.1.0"
    overview = service.overview()
    assert (overview.version, overview.slot, overview.confirmed) == ("1.0.0", "slot-a", True)
    assert (overview.newer, overview.check_problem) == ("2.1.0", "")
    assert [(held.place, held.version, held.compared) for held in overview.versions] == [
        ("slot-a", "1.0.0", "same"),
        ("slot-b", "", "unknown"),
        ("factory", "1.0.0", "same"),
        ("file", "0.9.0", "older"),
        ("file", "2.0.0", "newer"),
        ("server", "2.1.0", "newer"),
    ]
    slot_a, slot_b, *_, server = overview.versions
    assert (slot_a.running, slot_a.starts_next, slot_a.good, slot_a.notes) == (True, True, True, "First.")
    assert (slot_b.problem, slot_b.good) == ("empty or damaged", False)
    assert (server.notes, server.date) == ("From the server.", "2026-11-05")


@pytest.mark.spec("U2")
def test_download_of_what_the_server_offers(world: World) -> None:
    world.server.offer("2.0.0")
    service = world.service()
    assert service.download("2.0.0") == "allegro-2.0.0.raucb"
    assert world.files() == ["allegro-2.0.0.raucb"]
    with pytest.raises(NotFound):
        service.download("3.0.0")
    with pytest.raises(NotFound):
        service.check_download("3.0.0")
    assert world.server.closed == 3
    service.forget_check()
    assert service.newer() == ""


@pytest.mark.spec("U2")
@pytest.mark.parametrize("compatible", [COMPATIBLE, "toaster"])
def test_what_a_server_says_that_is_not_asked_any_more_does_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch, compatible: str
) -> None:
    world.server.offer("2.0.0")
    world.server.compatible = compatible
    service = world.service()
    index = world.server.index

    def another_server_is_set_meanwhile() -> bytes:
        service.forget_check()
        return index()

    monkeypatch.setattr(world.server, "index", another_server_is_set_meanwhile)
    with pytest.raises(InvalidInput if compatible == "toaster" else Conflict):
        service.check()
    overview = service.overview()
    assert (overview.newer, overview.check_problem, overview.checked_ns) == ("", "", None)


def test_a_server_that_delivers_another_version_than_it_says(world: World) -> None:
    world.server.offer("3.0.0", holds="0.1.0")
    with pytest.raises(Refusal, match="holds version"):
        world.service().download("3.0.0")
    assert world.files() == []


def test_an_index_of_others_is_not_believed(world: World, tmp_path: Path) -> None:
    world.server.offer("2.0.0")
    service = world.service()
    world.server.compatible = "toaster"
    with pytest.raises(InvalidInput, match="other devices"):
        service.check()
    world.server.compatible = COMPATIBLE
    world.server.signer = TestAuthority(tmp_path / "strangers").issue("stranger")
    with pytest.raises(InvalidInput, match="does not trust"):
        service.check()
    assert "does not trust" in service.overview().check_problem
    assert service.newer() == ""


@pytest.mark.spec("U2")
def test_update_to_the_newest_in_one_go(world: World) -> None:
    service = world.service()
    assert service.update_to_newest() == ""
    world.server.offer("0.5.0")
    assert service.update_to_newest() == ""
    world.server.offer("2.0.0")
    world.slots["slot-b"] = Release("2.0.0")
    assert service.update_to_newest() == "2.0.0"
    assert world.rauc.calls == ["install allegro-2.0.0.raucb", "active other"]
    assert world.restarts == []


@pytest.mark.spec("U2")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"update__compatible": "toaster"}, "another device"),
        ({"images": [{"size": SLOT_SIZE + 1}]}, "too large"),
        ({"bundle__format": "plain"}, "plain"),
        ({"bundle__verity-hash": "00" * 32}, "damaged"),
    ],
)
def test_a_refused_upload_leaves_nothing_behind(world: World, changes: dict[str, Any], words: str) -> None:
    service = world.service()
    with pytest.raises(InvalidInput, match=words):
        world.upload(service, world.bundle(**changes))
    assert world.files() == []
    assert service.events()[-1].kind == "refused"
    assert words in service.events()[-1].text
    assert world.actions.all()[0].state == "failed"
    assert service.fall_back() == ""


def test_what_rauc_refuses_is_told_in_plain_words(world: World) -> None:
    world.rauc.refuse = "signature verification failed: self-signed certificate in certificate chain"
    with pytest.raises(Refusal, match="does not trust"):
        world.upload(world.service(), world.bundle())
    assert world.files() == []


def test_an_upload_that_breaks_off_leaves_nothing_behind(world: World) -> None:
    service = world.service()
    with pytest.raises(ZeroDivisionError), service.receive("a.raucb", 100) as write:
        write(b"part" * (1 // 0))
    assert world.files() == []
    with pytest.raises(InvalidInput, match="no name"), service.receive("../a.raucb", 100):
        pass
    with pytest.raises(Conflict, match="not enough space"), service.receive("a.raucb", 1 << 60):
        pass
    (world.folder / ".upload-b.raucb").write_bytes(b"left by a power cut")
    (world.folder / ".download-00-b.raucb").write_bytes(b"to be resumed")
    world.service()
    assert world.files() == [".download-00-b.raucb"]


@pytest.mark.spec("U2")
def test_a_step_back_needs_a_confirmation(world: World) -> None:
    service = world.service()
    name = world.upload(service, world.bundle("0.9.0"))
    for step in (service.check_install, service.install):
        with pytest.raises(Conflict, match="older"):
            step(name)
    assert world.rauc.calls == []
    service.install(name, older=True)
    world.slots["slot-b"] = Release("0.9.0")
    with pytest.raises(Conflict, match="older"):
        service.activate("slot-b")
    assert world.restarts == []
    assert service.activate("slot-b", older=True, restart=False) == "0.9.0"
    assert world.restarts == []


def test_the_slot_to_fall_back_to_is_kept_until_the_running_one_is_confirmed(
    world: World,
) -> None:
    service = world.service()
    name = world.upload(service, world.bundle())
    world.state = BootState(slot_a=SlotState(good=False, tries_left=2), slot_b=PROVEN, last_good="slot-b")
    with pytest.raises(Conflict, match="not confirmed yet"):
        service.install(name)
    assert world.rauc.calls == []
    assert not service.overview().confirmed


def test_a_slot_that_starts_next_is_not_overwritten_while_it_does(world: World) -> None:
    service = world.service()
    name = world.upload(service, world.bundle())
    world.state = boot_state.activated(BootState(), "slot-b")
    service.install(name)
    assert world.rauc.calls == ["active booted", f"install {name}"]


def test_damage_after_the_upload_is_found_before_the_slot_is_touched(world: World) -> None:
    service = world.service()
    name = world.upload(service, world.bundle())
    path = world.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="damaged"):
        service.install(name)
    assert world.rauc.calls == []


def test_an_installation_that_fails_is_told(world: World) -> None:
    service = world.service()
    name = world.upload(service, world.bundle())
    world.rauc.fail = "Failed updating slot rootfs.1: Input/output error"
    with pytest.raises(Conflict, match="damaged"):
        service.install(name)
    assert service.events()[-1].kind == "failed"
    with pytest.raises(NotFound):
        service.install("missing.raucb")


def test_one_thing_at_a_time(world: World) -> None:
    service = world.service()
    name = world.upload(service, world.bundle())
    refused: list[type[AllegroError]] = []

    def meanwhile() -> None:
        for attempt in (
            lambda: service.delete(name),
            lambda: service.install(name),
            lambda: service.activate("slot-a"),
            lambda: service.background(lambda: None),
        ):
            with pytest.raises(Conflict) as caught:
                attempt()
            refused.append(caught.type)
        service.overview()

    world.rauc.during_install = meanwhile
    service.install(name)
    assert refused == [Conflict] * 4
    service.delete(name)
    assert world.files() == []


def test_long_work_in_the_background(world: World) -> None:
    service = world.service()
    name = world.upload(service, world.bundle())
    began, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        go_on.wait(10)

    world.rauc.during_install = wait
    service.background(lambda: service.install(name))
    assert world.actions.all()[0].state == "running"
    assert began.wait(10)
    go_on.set()
    for _ in range(1000):
        if world.actions.all()[0].state != "running":
            break
        threading.Event().wait(0.01)
    assert world.actions.all()[0].state == "done"


def test_a_slot_that_is_empty_or_none_cannot_be_activated(world: World) -> None:
    service = world.service()
    with pytest.raises(Conflict, match="empty or damaged"):
        service.activate("slot-b")
    with pytest.raises(InvalidInput, match="no slot"):
        service.activate("factory")
    world.slot = "factory"
    with pytest.raises(Unavailable, match="not started from slot A or B"):
        world.service().activate("slot-b")


def test_the_running_version_can_be_made_the_one_that_starts_again(world: World) -> None:
    service = world.service()
    world.slots["slot-b"] = Release("2.0.0")
    service.activate("slot-b", restart=False)
    assert service.activate("slot-a", restart=False) == "1.0.0"
    assert world.rauc.calls == ["active other", "active booted"]
    world.boot_id = "run-2"
    assert world.service().fall_back() == ""


def on_trial(world: World, **changes: Any) -> None:
    trial = Trial("1.0.0", "slot-a", "2.0.0", "slot-b", "run-1", was_recording=True)
    TrialNote(world.folder / "trial.json").write(replace(trial, **changes))


@pytest.mark.spec("U1")
def test_a_fall_back_is_told_once_with_its_reason(world: World) -> None:
    on_trial(world, starts=2)
    world.boot_id = "run-5"
    world.state = BootState(primary="slot-b", slot_b=BAD)
    service = world.service()
    sentence = (
        "Fell back from 2.0.0 to 1.0.0, because it started 2 times, but stopped before it was seen to work."
    )
    assert service.fall_back() == sentence
    assert world.told() == [sentence]
    name = world.upload(service, world.bundle("3.0.0"))
    service.install(name)
    assert service.fall_back() == ""


def test_a_restart_of_the_supervisor_alone_is_no_fall_back(world: World) -> None:
    on_trial(world)
    world.state = BootState(primary="slot-b", slot_b=BAD)
    assert world.service().events() == []


def test_who_chooses_the_previous_version_from_the_menu_did_not_fall_back(world: World) -> None:
    on_trial(world)
    world.boot_id = "run-2"
    world.state = BootState(primary="slot-b", slot_b=SlotState(good=False, tries_left=3))
    assert world.service().events() == []
    assert TrialNote(world.folder / "trial.json").read() is not None


@pytest.mark.spec("U1")
def test_what_was_installed_only_in_part_cannot_be_activated(world: World) -> None:
    world.slots["slot-b"] = Release("2.0.0")
    world.rauc.half_written.add("slot-b")
    service = world.service()
    slot_b = next(held for held in service.overview().versions if held.name == "slot-b")
    assert (slot_b.version, slot_b.problem) == ("", "empty or damaged")
    with pytest.raises(Conflict, match="empty or damaged"):
        service.activate("slot-b")
    assert "mark active other" not in world.rauc.calls
