"""Resets: what a user has set is really gone, what is to stay is really there."""

from pathlib import Path

import pytest

from tests.conftest import Lab, StartLab
from tests.harness.powercut_scenarios import (
    FactoryReset,
    boot_id,
    plant,
    planted_capture,
    planted_settings,
    wait_other_boot,
)
from tests.harness.waiting import wait_for

# Of the certificate only this stays for certain: it is made anew when the device has got a further address.
CERTIFICATE_KEY = "openssl pkey -in /data/web/certificate.pem -pubout"


@pytest.mark.spec("U5", "W9")
def test_configuration_reset_removes_settings_and_keeps_captures_and_what_is_to_be_spared(
    lab: Lab, report: Path
) -> None:
    """Sparing nothing, by the command line, it is done where its power is cut (powercut_scenarios)."""
    machine, device = lab.machine, lab.device
    plant(machine, device)
    job = device.wait_job(device.trigger()["id"])
    assert planted_settings(machine, device) == "old"
    identity = device.status()["system_id"]
    certificate_key = machine.run(CERTIFICATE_KEY).stdout
    before = boot_id(machine)
    device.post("/reset", {"keep": ["keys"]})
    wait_other_boot(machine, before)
    device.wait_ready()
    assert planted_settings(machine, device) == "new"
    assert planted_capture(machine)
    assert machine.run(CERTIFICATE_KEY).stdout == certificate_key
    assert device.status()["system_id"] == identity
    assert [(each["id"], each["state"]) for each in device.jobs()] == [(job["id"], "complete")]
    machine.run(f"test -s /data/storage/{job['file']}")
    assert {"name": "reset", "state": "done"}.items() <= device.status()["actions"][0].items()
    assert "Configuration reset: removing" in machine.serial_text()
    machine.screenshot(report / "after-reset.png")


@pytest.mark.long
@pytest.mark.spec("U6")
@pytest.mark.timeout(1800)
def test_factory_reset_removes_everything_and_starts_the_version_as_shipped(lab: Lab, report: Path) -> None:
    machine, device = lab.machine, lab.device
    plant(machine, device)
    identity = device.status()["system_id"]
    # The slot in use is another one than after the reset, and holds something else.
    machine.run("head -c 1M /dev/urandom >/dev/disk/by-partlabel/slot-b")
    scenario = FactoryReset()
    scenario.act(machine, device)
    assert scenario.outcome(machine, device) == "new"
    assert not planted_capture(machine)
    assert device.status()["system_id"] != identity
    machine.run("cmp -n 1048576 /dev/disk/by-partlabel/slot-b /dev/zero")
    size = int(machine.run("blockdev --getsize64 /dev/disk/by-partlabel/slot-a").stdout)
    assert size > 0
    used = machine.run(
        "python3 -c \"import struct; f = open('/dev/disk/by-partlabel/factory', 'rb');"
        " print(struct.unpack('<40xQ', f.read(48))[0])\""
    ).stdout.strip()
    machine.run(f"cmp -n {used} /dev/disk/by-partlabel/factory /dev/disk/by-partlabel/slot-a", timeout=300)
    shown = machine.serial_text()
    for text in ("Factory reset 1/3", "100 %", "Factory reset 2/3", "Factory reset 3/3"):
        assert text in shown
    machine.screenshot(report / "after-factory-reset.png")


@pytest.mark.spec("W9")
def test_reboot_and_power_off(start_lab: StartLab) -> None:
    """That a device which starts anew comes back is shown by all that let it: resets, updates."""
    lab = start_lab()
    assert lab.device.post("/power", {"action": "reboot"}) == {"action": "reboot"}
    lab.machine.wait_qmp_event("RESET", 120)
    assert lab.machine.running
    lab.machine.quit()
    lab = start_lab()
    lab.machine.run("allegro power off")
    wait_for(lambda: not lab.machine.running, "the end of QEMU", 120)
