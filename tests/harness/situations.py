"""Devices in situations that several tests begin from: made once, by whoever needs them first, and saved."""

from collections.abc import Callable
from pathlib import Path

from tests.harness import booted, updating
from tests.harness.bundle_maker import BundleMaker
from tests.harness.device import Device
from tests.harness.powercut import Situation
from tests.harness.powercut_scenarios import plant
from tests.harness.qemu import SavedState, VirtualMachine

NEXT = "99.1.0"
"""The version that is installed."""

Prepare = Callable[[VirtualMachine, Device], None]


def state(situation: Situation, ready: SavedState, diagnosis: Path) -> SavedState:
    """The saved state of a situation; it is made from `ready` if it is not there. Raises BenchError."""
    if situation == "ready":
        return ready
    return booted.prepared(situation, Path(__file__), ready, _MADE_BY[situation], diagnosis)


def _install(machine: VirtualMachine, device: Device) -> None:
    """What a user has is there, captures too; then the next version is downloaded and installed in slot B."""
    plant(machine, device)
    device.wait_job(device.trigger(before_s=5)["id"])
    maker = BundleMaker()
    bundle = maker.version(NEXT)
    updating.bring_over_a_bad_line(device, {NEXT: bundle}, maker.keys)
    updating.follow(device, "/firmware/install", {"name": bundle.name}, 900)
    machine.run("sync")


_MADE_BY: dict[Situation, Prepare] = {"installed": _install}
