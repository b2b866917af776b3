"""Updates of a running device, and new versions that do not work."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab, StartLab
from tests.harness import image_under_test, situations, updating
from tests.harness.bundle_maker import BundleMaker, kernel_option
from tests.harness.device import Device
from tests.harness.powercut_scenarios import FactoryReset
from tests.harness.powercut_scenarios import plant as plant_what_resets_remove
from tests.harness.qemu import Configuration
from tests.harness.watch import HUNG

A = image_under_test.VERSION
B = situations.NEXT


@pytest.fixture(scope="session")
def maker() -> BundleMaker:
    return BundleMaker()


def plant(device: Device) -> dict[str, Any]:
    """Something of each kind that an update must keep."""
    device.set({"trigger": {"before_s": 77}, "export": {"host": "files.example", "username": "probe"}})
    device.wait_job(device.trigger(before_s=5)["id"])
    return planted_in(device)


def planted_in(device: Device) -> dict[str, Any]:
    """What was planted, the newest capture of it."""
    job = device.jobs()[-1]
    return {
        "digest": device.machine.run(f"sha256sum /data/storage/{job['file']}").stdout,
        "job": job["id"],
        "users": device.machine.run("cat /data/web/users.json", check=False).stdout,
        "system_id": device.status()["system_id"],
    }


def check_kept(device: Device, planted: dict[str, Any], host: str = "files.example") -> None:
    settings = device.get("/settings")
    assert (settings["trigger"]["before_s"], settings["export"]["host"]) == (77, host)
    assert device.machine.run(f"sha256sum {planted['digest'].split()[1]}").stdout == planted["digest"]
    assert device.get(f"/jobs/{planted['job']}")["state"] == "complete"
    assert device.machine.run("cat /data/web/users.json", check=False).stdout == planted["users"]
    status = device.wait_ready(ports=0)
    assert status["system_id"] == planted["system_id"]
    assert set(device.problems()) <= {"no-link"}


def update(device: Device, bundle: Path) -> None:
    """From A in slot A to B in slot B, which is not installed yet."""
    updating.follow(device, "/firmware/install", {"name": bundle.name})
    start_installed(device, bundle)


def start_installed(device: Device, bundle: Path) -> None:
    """From A in slot A to B in slot B; the kernel's options are those of B."""
    assert kernel_option(B) not in device.machine.run("cat /proc/cmdline").stdout
    assert updating.activate(device, "slot-b") == B
    answer = updating.wait_confirmed(device, B, "slot-b")
    assert kernel_option(B) in device.machine.run("cat /proc/cmdline").stdout.split()
    slots = {each["name"]: each for each in answer["versions"]}
    assert (slots["slot-a"]["version"], slots["slot-b"]["starts_next"]) == (A, True)
    assert "made by a test" in slots[bundle.name]["notes"]


def falls_back(device: Device, maker: BundleMaker, fault: str) -> str:
    """Installs and activates a version with a fault; the words about the fall-back."""
    version = {"panic": "99.2.0", "damaged": "99.3.0", "unhealthy": "99.4.0", "hang": "99.5.0"}[fault]
    bundle = maker.version(version, fault)
    updating.bring(device, bundle, version, maker.keys)
    updating.follow(device, "/firmware/install", {"name": bundle.name})
    assert updating.activate(device, "slot-b") == version
    words = updating.wait_fallen_back(device, version)
    assert f"Fell back from {version} to {A}" in words
    overview = device.get("/firmware")
    assert (overview["version"], overview["slot"], overview["confirmed"]) == (A, "slot-a", True)
    slots = {each["name"]: each for each in overview["versions"]}
    assert (slots["slot-a"]["starts_next"], slots["slot-b"]["good"]) == (True, False)
    assert "firmware-fell-back" in [problem["id"] for problem in device.wait_ready(ports=0)["problems"]]
    device.api("DELETE", f"/firmware/files/{bundle.name}")
    return words


@pytest.mark.spec("U1", "U2", "U7")
@pytest.mark.timeout(2400)
def test_an_update_and_the_way_back_keep_everything(start_lab: StartLab, maker: BundleMaker) -> None:
    """Back by starting the version before, which is still in its slot. B came over a line that broke off."""
    device = start_lab(situation="installed").device
    planted = planted_in(device)
    start_installed(device, maker.version(B))
    check_kept(device, planted)
    device.set({"export": {"host": "other.example"}})
    assert updating.activate(device, "slot-a", older=True) == A
    updating.wait_confirmed(device, A, "slot-a")
    assert kernel_option(B) not in device.machine.run("cat /proc/cmdline").stdout
    check_kept(device, planted, "other.example")
    kinds = [event["kind"] for event in device.get("/firmware/events")[::-1]]
    assert kinds[:4] == ["installed", "activated", "confirmed", "activated"]


@pytest.mark.long
@pytest.mark.spec("U1")
@pytest.mark.timeout(7200)
def test_bad_versions_fall_back_by_themselves(lab: Lab, maker: BundleMaker) -> None:
    words = falls_back(lab.device, maker, "panic")
    assert "it did not start" in words
    words = falls_back(lab.device, maker, "unhealthy")
    assert "the supervisor does not" in words
    falls_back(lab.device, maker, "damaged")


@pytest.mark.long
@pytest.mark.spec("U1", "U6")
@pytest.mark.timeout(3600)
def test_a_factory_reset_brings_the_shipped_version_back_after_two_updates(
    lab: Lab, maker: BundleMaker
) -> None:
    """Then neither slot holds it any more."""
    device, machine = lab.device, lab.machine
    plant_what_resets_remove(machine, device)
    for version, slot in ((B, "slot-b"), ("99.6.0", "slot-a")):
        bundle = maker.version(version)
        updating.bring(device, bundle, version, maker.keys)
        updating.follow(device, "/firmware/install", {"name": bundle.name})
        updating.activate(device, slot)
        updating.wait_confirmed(device, version, slot)
    reset = FactoryReset()
    reset.act(machine, device)
    assert reset.outcome(machine, device) == "new"
    told = device.get("/firmware")
    assert (told["version"], told["slot"], told["confirmed"]) == (A, "slot-a", True)
    slots = {each["name"]: each["version"] for each in told["versions"]}
    assert slots == {"slot-a": A, "slot-b": "", "factory": A}


@pytest.mark.long
@pytest.mark.spec("U1", "U2", "U7")
@pytest.mark.timeout(7200)
def test_update_and_back_three_times(lab: Lab, maker: BundleMaker) -> None:
    """Both versions are installed each time."""
    device = lab.device
    planted = plant(device)
    bundles = {B: maker.version(B), A: maker.shipped()}
    updating.bring_over_a_bad_line(device, bundles, maker.keys)
    for number in range(3):
        update(device, bundles[B])
        check_kept(device, planted, "files.example" if number == 0 else "other.example")
        device.set({"export": {"host": "other.example"}})
        updating.follow(device, "/firmware/install", {"name": bundles[A].name, "older": True})
        assert updating.activate(device, "slot-a", older=True) == A
        updating.wait_confirmed(device, A, "slot-a")
        check_kept(device, planted, "other.example")
    kinds = [event["kind"] for event in device.get("/firmware/events")[::-1]]
    assert kinds == ["installed", "activated", "confirmed"] * 6


@pytest.fixture
def watched_lab(start_lab: StartLab) -> Lab:
    """A device with a hardware watchdog."""
    return start_lab(boot=True, configuration=Configuration(extra_arguments=("-device", "i6300esb")))


@pytest.mark.long
@pytest.mark.spec("U1", "I5")
@pytest.mark.timeout(7200)
def test_a_version_that_hangs_falls_back_by_the_watchdog(watched_lab: Lab, maker: BundleMaker) -> None:
    falls_back(watched_lab.device, maker, "hang")
    assert HUNG not in watched_lab.machine.begun_anew, "it was the bench that reset the machine"
