"""Firmware that must not get onto the device: refused with its reason, and nothing has changed.

Each kind of it is judged in tests/host/test_firmware_refused.py, by the same RAUC.
"""

from pathlib import Path

import pytest

from board.allegro.image.layout import read_layout
from tests.conftest import Lab
from tests.harness.bundle_maker import BundleMaker
from tests.harness.qemu import REPOSITORY
from tests.harness.waiting import wait_for

KINDS = ("foreign", "expired", "flipped50", "other-device", "large")
"""Those that the image's own keys, kernel, name and slots decide about."""
SLOT_SIZE = read_layout(REPOSITORY / "board/allegro/layout.toml")["slot-b"].size


def slot_and_state(lab: Lab) -> str:
    """Where the slot that is not running is no longer empty, and a fingerprint of the boot state.

    Of the slot as far as all bundles here together reach.
    """
    part = "/dev/disk/by-partlabel"
    command = f"cmp -n {64 << 20} {part}/slot-b /dev/zero; sha256sum {part}/boot-state"
    return lab.machine.run(command, timeout=300).stdout


@pytest.mark.spec("U2")
def test_bad_firmware_is_refused_with_its_reason_and_leaves_nothing_behind(lab: Lab, tmp_path: Path) -> None:
    device, machine = lab.device, lab.machine
    before = slot_and_state(lab)
    maker = BundleMaker()
    every = maker.bad(tmp_path, SLOT_SIZE)
    bad = {name: every[name] for name in KINDS}
    older = maker.small("0.0.1")
    for name, (path, reason) in bad.items():
        machine.push(path.read_bytes(), f"/tmp/{path.name}")
        result = machine.run(["allegro", "firmware", "upload", f"/tmp/{path.name}"], check=False)
        assert result.returncode == 1, name
        assert reason in result.stderr, f"{name}: {result.stderr}"
        machine.run(["rm", f"/tmp/{path.name}"])
    told = [event["text"] for event in device.get("/firmware/events") if event["kind"] == "refused"]
    assert [text.partition(".raucb")[0] for text in told[::-1]] == list(bad)

    machine.push(older.read_bytes(), "/tmp/older.raucb")
    machine.run(["allegro", "firmware", "upload", "/tmp/older.raucb"])
    result = machine.run(["allegro", "firmware", "install", "older.raucb"], check=False)
    assert (result.returncode, "older than the running version" in result.stderr) == (1, True)

    assert slot_and_state(lab) == before
    assert machine.run("ls -A /data/firmware | grep -v -e events -e lock").stdout == "older.raucb\n"
    assert [each["state"] for each in device.status()["actions"] if each["name"] == "firmware"] == ["done"]

    # The same with a yes is written, though it holds no system; what runs and what starts next stays.
    machine.run(["allegro", "firmware", "install", "--older", "older.raucb"], timeout=180)
    overview = wait_for(lambda: device.get("/firmware"), "the overview", 10)
    slots = {each["name"]: each for each in overview["versions"]}
    assert (overview["slot"], slots["slot-a"]["starts_next"]) == ("slot-a", True)
    assert slots["slot-b"]["problem"] == "empty or damaged"
    with pytest.raises(Exception, match="empty or damaged"):
        device.post("/firmware/activate", {"slot": "slot-b", "older": True})
    assert slot_and_state(lab) != before
