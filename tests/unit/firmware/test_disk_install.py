import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound
from allegro.firmware import disk_install as module
from allegro.firmware.disk_install import Candidate, Installer, Overview, running_disk
from allegro.firmware.disk_table import parse_table
from allegro.storage.disks import Disk
from allegro.system.actions import Actions
from tests.unit.firmware.test_disk_table import answer

GB = 10**9
STICK = Disk("sda", "/dev/sda", 8 * GB, model="Stick", transport="usb", removable=True)
INTERNAL = Disk("nvme0n1", "/dev/nvme0n1", 256 * GB, model="SSD", transport="nvme")
STORAGE = Disk("sdb", "/dev/sdb", 2000 * GB, uses=("/dev/sdb1 is mounted at /mnt/storage",))
SMALL = Disk("sdc", "/dev/sdc", GB // 10)
LARGE_SECTORS = Disk("sdd", "/dev/sdd", 256 * GB, sector_size=4096)


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> Actions:
    monkeypatch.setattr(module, "read_table", lambda _disk: parse_table(answer()))
    monkeypatch.setattr(module, "is_claimed", lambda _paths: False)
    return Actions()


@pytest.fixture
def installer(actions: Actions) -> Installer:
    disks = (STICK, INTERNAL, STORAGE, SMALL, LARGE_SECTORS)
    return Installer(actions, disks=lambda: disks, running=lambda: "sda")


def ended(actions: Actions) -> str:
    """Wait for the end of the installation; its state and text."""
    while actions.all()[0].state == "running":
        time.sleep(0.01)
    return f"{actions.all()[0].state}: {actions.all()[0].text}"


@pytest.mark.spec("I2")
def test_each_disk_is_listed_with_what_speaks_against_it(installer: Installer) -> None:
    overview = installer.overview()
    assert overview.running == STICK
    assert {each.disk.name: each.objections for each in overview.candidates} == {
        "nvme0n1": (),
        "sdb": ("/dev/sdb1 is mounted at /mnt/storage",),
        "sdc": ("it is too small: 673.2 MB are needed, it has 100.0 MB",),
        "sdd": ("its sectors have 4096 bytes, which cannot be started from",),
    }


@pytest.mark.spec("I2")
@pytest.mark.parametrize(
    ("running", "candidates", "offered"),
    [
        (STICK, (Candidate(INTERNAL, ()),), True),
        (STICK, (), False),
        (STICK, (Candidate(INTERNAL, ("in use",)),), False),
        (STICK, (Candidate(replace(STICK, name="sdx"), ()),), False),
        (INTERNAL, (Candidate(STORAGE, ()),), False),
        (None, (Candidate(INTERNAL, ()),), False),
    ],
)
def test_it_is_offered_only_from_a_stick_with_a_disk_that_can_take_it(
    running: Disk | None, candidates: tuple[Candidate, ...], offered: bool
) -> None:
    assert Overview(running, candidates).offered is offered


@pytest.mark.spec("I2")
@pytest.mark.parametrize(
    ("name", "confirm", "kind", "text"),
    [
        ("sda", "sda", Conflict, "runs from /dev/sda"),
        ("sdb", "sdb", Conflict, "mounted at /mnt/storage"),
        ("sdc", "sdc", Conflict, "too small"),
        ("sdz", "sdz", NotFound, "no disk sdz"),
        ("nvme0n1", "", InvalidInput, "not confirmed"),
        ("nvme0n1", "yes", InvalidInput, "not confirmed"),
    ],
)
def test_what_must_not_be_is_refused_before_anything_is_done(
    installer: Installer, actions: Actions, name: str, confirm: str, kind: type[AllegroError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        installer.start(name, confirm)
    assert actions.all() == ()


def test_not_while_something_else_is_being_done(installer: Installer, actions: Actions) -> None:
    actions.start("update", "Loading version 2.")
    with pytest.raises(Conflict, match="Loading version 2"):
        installer.start("nvme0n1", "nvme0n1")


@pytest.mark.spec("I2")
def test_a_disk_that_was_exchanged_since_it_was_listed_is_not_overwritten(
    installer: Installer, actions: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "sequence_by_name", lambda _name: 8)
    with pytest.raises(Conflict, match=r"Another disk is called nvme0n1 now: /dev/nvme0n1 \(SSD"):
        installer.start("nvme0n1", "nvme0n1", 7)
    assert actions.all() == ()


def test_the_end_is_told(installer: Installer, actions: Actions, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Disk] = []

    def note(source: Disk, target: Disk, _tell: object, _sequence: int) -> None:
        seen.extend((source, target))

    monkeypatch.setattr(module, "install", note)
    assert installer.start("/dev/nvme0n1", "nvme0n1") == INTERNAL
    assert ended(actions).startswith("done: Installed on /dev/nvme0n1.")
    assert seen == [STICK, INTERNAL]


def test_a_failure_is_told_in_plain_words(
    installer: Installer, actions: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_source: Disk, _target: Disk, _tell: object, _sequence: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "install", fails)
    installer.start("nvme0n1", "nvme0n1")
    assert ended(actions) == (
        "failed: Installing on /dev/nvme0n1 failed: Input/output error."
        " Nothing starts from that disk as it is now. Try again, or use another disk."
    )


def test_the_disk_of_the_root_file_system_is_found(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    device = root.stat().st_dev
    place = tmp_path / "sys/devices/usb/block/sdq/sdq5"
    place.mkdir(parents=True)
    links = tmp_path / "sys/dev/block"
    links.mkdir(parents=True)
    (links / f"{os.major(device)}:{os.minor(device)}").symlink_to(place)
    assert running_disk(root, tmp_path / "sys") == ""
    (place / "partition").write_text("5\n")
    assert running_disk(root, tmp_path / "sys") == "sdq"
