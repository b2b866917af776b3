"""Firmware that must not get onto the device, judged by the real RAUC, on a bus of its own."""

import contextlib
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import AllegroError, Conflict
from allegro.firmware.authority import Authority
from allegro.firmware.boot_state import BootState
from allegro.firmware.device_around import Surroundings
from allegro.firmware.rauc import Rauc
from allegro.firmware.releases import Release
from allegro.firmware.update import FirmwareService
from allegro.system.actions import Actions
from scripts.build_vm import project_fact
from tests.harness.bundle_maker import BundleMaker, tools
from tests.harness.waiting import wait_for

SLOT_SIZE = 8 << 20
BUS = "unix:abstract=/allegro-test-rauc"

CONFIGURATION = """\
[system]
compatible={compatible}
bootloader=noop
bundle-formats=verity
mountprefix=/tmp/mnt
data-directory=/tmp/data
activate-installed=false
[keyring]
path={folder}/keyring.pem
check-purpose=codesign
use-bundle-signing-time=true
[slot.rootfs.0]
device={folder}/slot-a
type=raw
bootname=slot-a
[slot.rootfs.1]
device={folder}/slot-b
type=raw
bootname=slot-b
"""

# In mounts that vanish with it; the folder has the same name inside as outside.
INSIDE = """\
mount --rbind /dev "$1/dev"; mount -t proc proc "$1/proc"; mount -t tmpfs tmpfs "$1/tmp"
mkdir -p "$1/tmp/data" "$1/tmp/mnt" "$1$2"; mount --bind "$2" "$1$2"
exec chroot "$1" env DBUS_SYSTEM_BUS_ADDRESS="$3" \\
    rauc --conf="$2/system.conf" --override-boot-slot=slot-a service
"""


@pytest.fixture(scope="module")
def maker() -> BundleMaker:
    return BundleMaker()


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="allegro-rauc-", dir="/tmp"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def bus() -> Iterator[str]:
    """The address of a message bus, which it says once it listens: without a bus RAUC ends for good."""
    command = ["dbus-daemon", "--session", "--nofork", f"--address={BUS}", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip()
        daemon.kill()


@pytest.fixture
def rauc(folder: Path, maker: BundleMaker, bus: str) -> Iterator[Rauc]:
    """RAUC with two slots that are files."""
    for slot in ("slot-a", "slot-b"):
        (folder / slot).write_bytes(slot.encode() * (SLOT_SIZE // 6))
    shutil.copy(maker.keys.keyring, folder / "keyring.pem")
    text = CONFIGURATION.format(compatible=project_fact("COMPATIBLE"), folder=folder)
    (folder / "system.conf").write_text(text)
    inside = ["sh", "-euc", INSIDE, "sh", str(tools()), str(folder), bus]
    command = ["unshare", "--mount", "--propagation", "private", *inside]
    made = Rauc(bus)

    def answers() -> bool:
        with contextlib.suppress(AllegroError):
            made.mark("good", "booted")
            return True
        return False

    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(answers, "RAUC", 30)
            yield made
        finally:
            process.kill()


def service(folder: Path, rauc: Rauc) -> FirmwareService:
    def none() -> Any:
        raise AssertionError("nobody asks the server")

    around = Surroundings(
        version=project_fact("VERSION"),
        slot="slot-a",
        boot_id="run-1",
        authority=lambda: Authority(project_fact("COMPATIBLE"), folder / "keyring.pem", "codesign"),
        installer=rauc,
        server=none,
        boot_state=BootState,
        look=lambda _: None,
        own_release=lambda: Release(project_fact("VERSION")),
        slot_size=lambda _: SLOT_SIZE,
    )
    (folder / "firmware").mkdir()
    return FirmwareService(folder / "firmware", around, Actions())


def upload(updates: FirmwareService, path: Path) -> None:
    with updates.receive(path.name, path.stat().st_size) as write:
        write(path.read_bytes())


@pytest.mark.spec("U2")
@pytest.mark.timeout(300)
def test_bad_firmware_is_refused_with_its_reason_and_leaves_nothing_behind(
    folder: Path, rauc: Rauc, maker: BundleMaker, tmp_path: Path
) -> None:
    def slots() -> list[str]:
        return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("slot-a", "slot-b")]

    def kept() -> list[str]:
        return [path.name for path in (folder / "firmware").iterdir() if "events" not in path.name]

    updates = service(folder, rauc)
    before = slots()
    bad = maker.bad(tmp_path, SLOT_SIZE)
    assert len(bad) >= 12
    for name, (path, reason) in bad.items():
        with pytest.raises(AllegroError, match=reason):
            upload(updates, path)
        assert kept() == [], name
        assert updates.events()[-1].kind == "refused"
        assert reason in updates.events()[-1].text
    older = maker.small("0.0.1")
    upload(updates, older)
    with pytest.raises(Conflict, match="older than the running version"):
        updates.install(older.name)
    assert kept() == [older.name]
    # What is good is taken, with what its maker says about it.
    good = maker.small()
    upload(updates, good)
    held = {each.name: each for each in updates.overview().versions}
    assert (held[good.name].version, held[good.name].compared) == ("99.0.0", "newer")
    assert held[good.name].notes == "Version 99.0.0, made by a test.\nNothing is new."
    updates.check_install(good.name)
    # So is what was signed in time, whatever the clock here says: one without a battery is years behind.
    later = maker.signed_later(tmp_path / "allegro-later.raucb")
    upload(updates, later)
    updates.check_install(later.name)
    assert slots() == before
