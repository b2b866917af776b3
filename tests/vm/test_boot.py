"""The image starts by itself, by BIOS (as in all other tests) and by UEFI."""

import pytest

from tests.conftest import StartLab
from tests.harness.qemu import Configuration


@pytest.mark.spec("I1", "T3")
def test_starts_by_uefi_and_captures(start_lab: StartLab) -> None:
    lab = start_lab(boot=True, configuration=Configuration(firmware="uefi"))
    lab.machine.run("test -d /sys/firmware/efi")
    job = lab.device.wait_job(lab.device.trigger()["id"])
    assert job["state"] == "complete"


@pytest.mark.spec("I5")
def test_every_unit_has_started(start_lab: StartLab) -> None:
    lab = start_lab(boot=True)
    assert lab.machine.run("systemctl list-units --failed --plain --no-legend").stdout == ""
