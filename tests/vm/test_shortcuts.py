"""Shortcuts on a keyboard at the device: reset with update, and the temporary address."""

from pathlib import Path

import pytest

from tests.conftest import Lab, StartLab
from tests.harness import updating
from tests.harness.bundle_maker import BundleMaker
from tests.harness.desk import Desk
from tests.harness.powercut_scenarios import (
    boot_id,
    plant,
    planted_capture,
    planted_settings,
    wait_other_boot,
)
from tests.harness.terminal import Screen
from tests.harness.waiting import wait_for

NEXT = "99.1.0"


def serial_screen(lab: Lab) -> str:
    """What a terminal on the serial port shows now, in one line."""
    screen = Screen(80, 24)
    screen.feed(lab.machine.serial_text())
    return " ".join(screen.text().split())


@pytest.mark.long
@pytest.mark.spec("U5", "N4")
def test_shift_r_resets_and_stays_on_when_the_update_server_cannot_be_reached(lab: Lab, report: Path) -> None:
    machine, device = lab.machine, lab.device
    plant(machine, device)
    device.set({"firmware": {"server": "https://10.0.2.2:1/"}})
    before = boot_id(machine)
    machine.send_keys("r")  # without Shift it is nothing, and right after it Shift+R is nothing either
    machine.send_keys("shift", "r")
    machine.run("sleep 3")
    assert boot_id(machine) == before

    machine.send_keys("shift", "r")
    wait_other_boot(machine, before)
    device.wait_ready()
    assert planted_settings(machine, device) == "new"
    assert planted_capture(machine)
    wait_for(
        lambda: (
            [each["state"] for each in device.status()["actions"] if each["name"] == "reset-update"]
            == ["failed"]
        ),
        "the end of the search for firmware",
        300,
        2,
    )
    wait_for(lambda: "the device stays on" in serial_screen(lab), "the reason on the console", 30)
    machine.screenshot(report / "stays-on.png")
    assert machine.running
    # Where to ask stays set, or there would have been nobody to ask.
    assert device.get("/settings")["firmware"]["server"] == "https://10.0.2.2:1/"


@pytest.mark.long
@pytest.mark.spec("U5", "N4")
@pytest.mark.timeout(2400)
def test_shift_r_with_newer_firmware_installs_it_and_powers_off(
    lab: Lab, tmp_path: Path, report: Path
) -> None:
    machine, device = lab.machine, lab.device
    plant(machine, device)
    maker = BundleMaker()
    with updating.update_server(tmp_path, [maker.version(NEXT)], maker.keys, device):
        machine.send_keys("shift", "r")
        wait_for(lambda: not machine.running, "the power to go off", 1200, 2)
    machine.start()
    updating.wait_confirmed(device, NEXT, "slot-b")
    assert planted_settings(machine, device) == "new"
    assert planted_capture(machine)
    machine.screenshot(report / "updated.png")


@pytest.mark.spec("N3", "N4")
def test_shift_s_gives_an_address_that_nobody_has_and_shows_it(
    start_lab: StartLab, desk: Desk, report: Path
) -> None:
    lab = start_lab(management=desk.port)
    machine = lab.machine
    desk.wait_reaches("10.0.2.15")
    desk.address("10.0.2.2/24", "192.168.77.1/24")
    machine.serial_write(b" ")
    machine.send_keys("shift", "s")
    wait_for(lambda: "192.168.77.2" in serial_screen(lab), "the address on the console", 120)
    assert "192.168.77.2/24" in machine.run("ip -brief -4 address show dev mgmt0").stdout
    desk.wait_reaches("192.168.77.2")
    machine.screenshot(report / "temporary-address.png")
