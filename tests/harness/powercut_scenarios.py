"""What the power is cut in. A new scenario is a class here, and an entry in SCENARIOS."""

import json

from tests.harness import image_under_test, updating
from tests.harness.bench_errors import BenchError
from tests.harness.bundle_maker import BundleMaker
from tests.harness.device import Device
from tests.harness.powercut import Scenario, Situation
from tests.harness.qemu import VirtualMachine
from tests.harness.waiting import wait_for

_PLANTED = "20200101T000000Z_api_planted.pcapng"
_NEXT = "99.1.0"
_CONTENT = bytes(range(256)) * 4096


def plant(machine: VirtualMachine, device: Device) -> None:
    """Settings that differ from the defaults, in every place where a user's lie, and a finished capture."""
    device.set(
        {
            "trigger": {"before_s": 77},
            "export": {"enabled": False, "host": "files.example", "username": "planted"},
        }
    )
    machine.push(_CONTENT, f"/data/storage/{_PLANTED}")
    machine.run("chmod 640 /data/storage/*.pcapng; install -m 600 /dev/null /data/web/planted")


def planted_settings(machine: VirtualMachine, device: Device) -> str:
    """ "old" with all of what was planted, "new" with none of it, but nothing in between."""
    settings = device.get("/settings")
    seen = (
        settings["trigger"]["before_s"] == 77,
        settings["export"]["host"] == "files.example",
        settings["export"]["username"] == "planted",
        machine.run("test -e /data/web/planted", check=False).returncode == 0,
    )
    if any(seen) and not all(seen):
        raise BenchError(f"the settings are neither old nor new: {seen}")
    if machine.run("ls /data/reset-order.json", check=False).returncode == 0:
        raise BenchError("the order of the reset was left behind")
    return "old" if all(seen) else "new"


def planted_capture(machine: VirtualMachine) -> bool:
    """Whether it is there. Raises BenchError if it is not as it was."""
    if machine.run(f"test -e /data/storage/{_PLANTED}", check=False).returncode:
        return False
    if machine.pull(f"/data/storage/{_PLANTED}") != _CONTENT:
        raise BenchError("the planted capture has changed")
    return True


def wait_other_boot(machine: VirtualMachine, before: str, timeout: float = 300.0) -> None:
    """Wait until the guest's agent answers from another start than `before`.

    Raises BenchTimeoutError, BenchError if the machine is off for good.
    """

    def other() -> bool:
        try:
            return boot_id(machine) != before
        except BenchError:
            if not machine.running:
                raise
            return False

    wait_for(other, "another start", timeout, 1)


def boot_id(machine: VirtualMachine) -> str:
    """Differs at each start (random(4))."""
    return machine.pull("/proc/sys/kernel/random/boot_id").decode().strip()


class SettingsWrite:
    """Settings are saved, again and again: what was confirmed holds, and each file is whole."""

    name = "settings write"
    situation: Situation = "ready"
    done = "whole"
    boots = False
    share = 0.2
    _LAST = 12

    def prepare(self, machine: VirtualMachine, device: Device) -> None:
        """The settings file is there already."""
        device.set({"trigger": {"before_s": 100, "after_s": 100}})

    def act(self, machine: VirtualMachine, device: Device) -> None:
        """Two values that always belong together."""
        for value in range(101, 101 + self._LAST):
            device.set({"trigger": {"before_s": value, "after_s": value}})
        machine.run("sync")

    def outcome(self, machine: VirtualMachine, device: Device) -> str:
        """Both values of the same write."""
        trigger = device.get("/settings")["trigger"]
        if trigger["before_s"] != trigger["after_s"] or not 100 <= trigger["before_s"] <= 100 + self._LAST:
            raise BenchError(f"the settings are of no write: {trigger}")
        damaged = machine.run("ls /data | grep damaged", check=False).stdout
        if damaged:
            raise BenchError(f"the settings file was damaged: {damaged}")
        return "whole"


class ConfigurationReset:
    """Everything of the user's is there, or nothing; captures are kept."""

    name = "configuration reset"
    situation: Situation = "ready"
    done = "new"
    boots = False
    share = 0.2

    def prepare(self, machine: VirtualMachine, device: Device) -> None:
        """Something to remove, something to keep."""
        plant(machine, device)

    def act(self, machine: VirtualMachine, device: Device) -> None:
        """Ordered by the command line, sparing nothing; done at the start that follows."""
        before = boot_id(machine)
        machine.run("allegro reset configuration")
        wait_other_boot(machine, before)
        device.wait_ready(timeout=600)

    def outcome(self, machine: VirtualMachine, device: Device) -> str:
        """Old or new settings; the capture in any case."""
        if not planted_capture(machine):
            raise BenchError("the planted capture is gone")
        return planted_settings(machine, device)


class FactoryReset:
    """Everything as before, or as shipped; the version as shipped starts."""

    name = "factory reset"
    situation: Situation = "ready"
    done = "new"
    boots = False
    share = 0.2

    def prepare(self, machine: VirtualMachine, device: Device) -> None:
        """Something to remove."""
        plant(machine, device)

    def act(self, machine: VirtualMachine, device: Device) -> None:
        """As the boot menu does it: a request in the boot state. Two starts follow."""
        before = boot_id(machine)
        machine.run(["python3", "-c", _REQUEST, "factory-reset"])
        machine.run("systemctl --no-block reboot")
        wait_other_boot(machine, before)
        wait_for(lambda: self._as_shipped(machine), "the start after the factory reset", 600, 2)
        device.wait_ready(timeout=600)

    def outcome(self, machine: VirtualMachine, device: Device) -> str:
        """Both settings and capture, or neither."""
        wait_for(lambda: not self._resetting(machine), "the end of the factory reset", 900, 2)
        device.wait_ready(timeout=600)
        settings, capture = planted_settings(machine, device), planted_capture(machine)
        if capture != (settings == "old"):
            raise BenchError(f"settings are {settings}, but the capture is {'there' if capture else 'gone'}")
        if settings == "new":
            slots = json.loads(machine.run(["python3", "-c", _SLOTS]).stdout)
            if slots != ["slot-a", "slot-a", True, False, ""]:
                raise BenchError(f"the boot state is not that of a new device: {slots}")
        return settings

    def _as_shipped(self, machine: VirtualMachine) -> bool:
        try:
            return machine.pull("/proc/cmdline").count(b"allegro.slot=slot-a") == 1
        except BenchError:
            return False

    def _resetting(self, machine: VirtualMachine) -> bool:
        try:
            return b"allegro.request=factory-reset" in machine.pull("/proc/cmdline")
        except BenchError:
            return True


class Installation:
    """The running version goes on; the other slot holds nothing to be started, or all of the new version."""

    name = "installation"
    situation: Situation = "ready"
    done = "new"
    boots = False
    share = 1.0

    def __init__(self) -> None:
        self._bundle = ""

    def prepare(self, machine: VirtualMachine, device: Device) -> None:
        """The new version's bundle is on the device."""
        self._bundle = _download(device)

    def act(self, machine: VirtualMachine, device: Device) -> None:
        """By API, until it says that it is done."""
        updating.follow(device, "/firmware/install", {"name": self._bundle}, 900)
        machine.run("sync")

    def outcome(self, machine: VirtualMachine, device: Device) -> str:
        """Old: slot B is not to be started; new: its content is that of the bundle."""
        told = device.get("/firmware")
        if (told["version"], told["slot"], told["confirmed"]) != (image_under_test.VERSION, "slot-a", True):
            raise BenchError(f"{told['version']} runs in {told['slot']}, confirmed: {told['confirmed']}")
        slots = {each["name"]: each for each in told["versions"]}
        if not slots["slot-a"]["starts_next"]:
            raise BenchError("nobody activated the other slot, but it would start next")
        if not slots["slot-b"]["version"]:
            return "old"
        if slots["slot-b"]["version"] != _NEXT:
            raise BenchError(f"slot B holds {slots['slot-b']['version']}")
        _check_whole(machine, self._bundle)
        return "new"


class Activation:
    """The version that ran before, or the activated one, confirmed; nothing in between."""

    name = "activation"
    situation: Situation = "installed"
    done = "new"
    boots = False
    share = 0.2

    def prepare(self, machine: VirtualMachine, device: Device) -> None:
        """Nothing: the new version is installed, and what must be kept is there."""

    def act(self, machine: VirtualMachine, device: Device) -> None:
        """From the order to the new version's confirmation."""
        updating.activate(device, "slot-b")
        updating.wait_confirmed(device, _NEXT, "slot-b")
        machine.run("sync")

    def outcome(self, machine: VirtualMachine, device: Device) -> str:
        """Either version; a new one confirms itself, as the cut was one of its three tries at most."""
        told = device.get("/firmware")
        if (told["version"], told["slot"]) not in ((image_under_test.VERSION, "slot-a"), (_NEXT, "slot-b")):
            raise BenchError(f"{told['version']} runs in {told['slot']}")
        updating.wait_confirmed(device, told["version"], told["slot"])
        if planted_settings(machine, device) != "old" or not planted_capture(machine):
            raise BenchError("settings or capture are gone")
        return "old" if told["version"] == image_under_test.VERSION else "new"


def _download(device: Device) -> str:
    """Brings the new version to the device; returns the name of its file."""
    maker = BundleMaker()
    bundle = maker.version(_NEXT)
    updating.bring(device, bundle, _NEXT, maker.keys)
    return bundle.name


def _check_whole(machine: VirtualMachine, bundle: str) -> None:
    """Raises BenchError unless slot B is, byte for byte, what the bundle's manifest says."""
    manifest = machine.run(["rauc", "info", "--output-format=json", f"/data/firmware/{bundle}"]).stdout
    (image,) = json.loads(manifest)["images"]
    (facts,) = image.values()
    read = f"head -c {facts['size']} /dev/disk/by-partlabel/slot-b | sha256sum"
    if machine.run(read, timeout=300).stdout.split()[0] != facts["checksum"]:
        raise BenchError("slot B offers the new version, but not all of it is there")


class FirstBoot:
    """The first start of a new device: folders, identity, certificate, ring, the data partition's growth."""

    name = "first boot"
    situation: Situation = "ready"
    done = "ready"
    boots = True
    share = 0.2

    def prepare(self, machine: VirtualMachine, device: Device) -> None:
        """Nothing: the disk is as it was shipped."""

    def act(self, machine: VirtualMachine, device: Device) -> None:
        """Until all is ready."""
        device.wait_ready(timeout=600)
        machine.run("sync")

    def outcome(self, machine: VirtualMachine, device: Device) -> str:
        """A device that has an identity, records, and has nothing to complain of."""
        status = device.status()
        if not status["system_id"] or device.problems():
            raise BenchError(f"identity {status['system_id']!r}, problems {status['problems']}")
        wait_for(
            lambda: machine.run("systemctl is-active allegro-web", check=False).returncode == 0,
            "the page",
            180,
        )
        return "ready"


_REQUEST = """
import sys
from dataclasses import replace
from allegro.firmware import boot_state
state = boot_state.read(boot_state.DEVICE)
boot_state.write(boot_state.DEVICE, replace(state, request=sys.argv[1]))
"""
_SLOTS = """
import json
from allegro.firmware import boot_state
state = boot_state.read(boot_state.DEVICE)
print(json.dumps([boot_state.running(), state.primary, state.slot_a.good, state.slot_b.good, state.request]))
"""

SCENARIOS: tuple[Scenario, ...] = (
    Installation(),
    Activation(),
    SettingsWrite(),
    ConfigurationReset(),
    FactoryReset(),
    FirstBoot(),
)
