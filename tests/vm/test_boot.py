"""The image starts by itself by BIOS, and how long that takes. By UEFI it does in test_install_to_disk.py."""

import time

import pytest

from tests.conftest import StartLab, Tell
from tests.harness.agent import injection
from tests.harness.qemu import Configuration, VirtualMachine
from tests.harness.waiting import wait_for

PROGRAMS = ("allegro-recorder", "allegro-supervisor", "allegro-web")
OURS = (*PROGRAMS, "allegro-prepare", "allegro-console", "allegro-confirm", "allegro-started")


@pytest.mark.spec("I3", "I5")
def test_every_unit_has_started(start_lab: StartLab, tell: Tell) -> None:
    """The time is only told: it depends on the host."""
    began = time.monotonic()
    lab = start_lab(boot=True)
    wait_for(lambda: _active(lab.machine, *PROGRAMS), "all programs", 240)
    whole = time.monotonic() - began
    wait_for(lambda: _active(lab.machine, "multi-user.target"), "the end of the start", 240)
    assert lab.machine.run("systemctl list-units --failed --plain --no-legend").stdout == ""

    without_ours = injection(
        drop_ins={f"{name}.service": "[Unit]\nConditionPathExists=/nonexistent\n" for name in OURS}
    )
    machine = VirtualMachine(lab.machine.directory / "bare", Configuration(injection=without_ours))
    try:
        began = time.monotonic()
        machine.start()
        machine.wait_agent()
        wait_for(lambda: _active(machine, "multi-user.target"), "the end of the bare system's start", 240)
        bare = time.monotonic() - began
        assert not _active(machine, PROGRAMS[0])
    finally:
        machine.close()
        machine.remove_disks()
    tell(
        f"from power-on to recording and page {whole:.0f} s; the same system without our services"
        f" {bare:.0f} s, ratio {whole / bare:.1f}"
    )


def _active(machine: VirtualMachine, *units: str) -> bool:
    return machine.run(["systemctl", "is-active", "--quiet", *units], check=False).returncode == 0
