"""Who hangs is started again: a program without the others, the system as a whole."""

import pytest

from tests.conftest import Lab, StartLab
from tests.harness.qemu import Configuration
from tests.harness.waiting import wait_for

PROGRAMS = ("allegro-recorder", "allegro-supervisor", "allegro-web")


def main_process(lab: Lab, unit: str) -> int:
    return int(lab.machine.run(f"systemctl show --property=MainPID --value {unit}").stdout)


@pytest.mark.spec("I5")
@pytest.mark.parametrize("hung", PROGRAMS)
def test_a_program_that_hangs_is_started_again_and_the_others_go_on(lab: Lab, hung: str) -> None:
    """Meanwhile the others give word in time, or they would be restarted as well."""
    before = {unit: main_process(lab, unit) for unit in PROGRAMS}
    assert all(before.values())
    lab.machine.run(f"systemctl kill --kill-whom=main --signal=STOP {hung}")
    # The limit of the service, the time to die, and the start of a new one.
    wait_for(lambda: main_process(lab, hung) not in (0, before[hung]), f"a new {hung}", 180, 2)
    assert {unit: main_process(lab, unit) for unit in PROGRAMS if unit != hung} == {
        unit: process for unit, process in before.items() if unit != hung
    }
    shown = lab.machine.run(f"journalctl -b --no-pager -o cat -u {hung}").stdout
    assert "Watchdog timeout" in shown
    lab.device.wait_ready()


@pytest.mark.long
@pytest.mark.spec("I5")
def test_a_system_that_hangs_is_started_again_by_the_watchdog_of_the_machine(start_lab: StartLab) -> None:
    watched = Configuration(extra_arguments=("-device", "i6300esb", "-action", "watchdog=reset"))
    lab = start_lab(boot=True, configuration=watched)
    machine = lab.machine
    assert "i6300ESB" in machine.run("cat /sys/class/watchdog/watchdog*/identity").stdout
    machine.run("journalctl -b --no-pager -o cat | grep -q 'Using hardware watchdog'")
    boot_id = machine.run("cat /proc/sys/kernel/random/boot_id").stdout
    # A kernel that has crashed and does not start again by itself: all processors stand still.
    machine.run("echo 0 >/proc/sys/kernel/panic && echo 1 >/proc/sys/kernel/sysrq")
    machine.agent.start_run("echo c >/proc/sysrq-trigger", 10)
    assert machine.wait_qmp_event("WATCHDOG", 180)["data"]["action"] == "reset"
    lab.device.wait_ready()
    assert machine.run("cat /proc/sys/kernel/random/boot_id").stdout != boot_id
