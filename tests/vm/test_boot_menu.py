"""The boot menu, the boot state and the fall-back, by BIOS and by UEFI.

GRUB's rules are compared with those of the system (boot_state.py) without starting it where that is enough:
with all slots empty, GRUB tells in which order it tries them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from allegro.firmware import boot_state
from allegro.firmware.boot_state import BAD, PROVEN, TO_BE_TRIED, BootState, SlotState
from tests.conftest import REPORT, Lab
from tests.harness import before_start
from tests.harness.agent import injection
from tests.harness.qemu import Configuration, VirtualMachine, save_diagnosis
from tests.harness.waiting import wait_for

# What the reset entries ask for is shown elsewhere; here it must not run.
NO_RESET = injection(drop_ins={"allegro-reset.service": "[Unit]\nConditionPathExists=/nonexistent\n"})

Firmware = Literal["bios", "uefi"]
MakeMachine = Callable[..., VirtualMachine]


@pytest.fixture
def make_machine(
    request: pytest.FixtureRequest, configuration: Configuration, tmp_path: Path
) -> Iterator[MakeMachine]:
    """Make machines that are off, without measuring ports; on failure keep their console and screen."""
    made: list[VirtualMachine] = []

    def make(firmware: Firmware = "bios") -> VirtualMachine:
        machine = VirtualMachine(
            tmp_path / str(len(made)),
            replace(configuration, firmware=firmware, ports=0, injection=NO_RESET),
        )
        made.append(machine)
        return machine

    failed = request.session.testsfailed
    yield make
    for number, machine in enumerate(made):
        if request.session.testsfailed > failed:
            save_diagnosis(machine, REPORT / re.sub(r"[^\w.-]+", "_", request.node.name) / str(number))
        machine.close()
        machine.remove_disks()


def power_off(machine: VirtualMachine) -> None:
    """End the machine so that all it wrote is on its disk."""
    machine.quit()


@pytest.mark.spec("U4", "I1")
@pytest.mark.parametrize("firmware", ["bios", pytest.param("uefi", marks=pytest.mark.long)])
def test_every_entry_of_the_menu_starts_its_version(make_machine: MakeMachine, firmware: Firmware) -> None:
    machine = make_machine(firmware)
    before_start.fill_slot(machine, "slot-b", before_start.shipped_slot(machine))
    expected: dict[str, tuple[str, boot_state.Request]] = {
        "start": ("slot-a", ""),
        "previous": ("slot-b", ""),
        "configuration-reset": ("slot-a", "configuration-reset"),
        "factory-reset": ("factory", "factory-reset"),
    }
    for entry, (slot, request) in expected.items():
        screenshot = REPORT / f"boot-menu-{firmware}.png" if entry == "start" else None
        text = before_start.start_entry(machine, BootState(slot_b=PROVEN), entry, screenshot)
        version = r"\d+\.\d+\.\d+"
        assert re.search(rf"Start Allegro {version}", text)
        assert re.search(rf"Start previous version {version}", text)
        assert re.search(rf"Factory reset .*{version}", text)
        assert before_start.started_slot(machine) == (slot, request), entry
        power_off(machine)
        reading = before_start.read_state(machine)
        assert reading.damaged == ()
        starts = 1 + before_start.crashes(machine)
        assert reading.state == BootState(slot_b=PROVEN, request=request, starts=starts), entry


@pytest.mark.spec("U4")
def test_keys_of_a_presenter_do_not_keep_the_device_in_the_menu(make_machine: MakeMachine) -> None:
    """A presenter is a keyboard, for the firmware of the machine as well."""
    machine = make_machine()
    machine.start()
    before_start.wait_countdown(machine)
    for key in ("pgdn", "pgup", "f5", "dot", "esc"):
        machine.send_keys(key)
    assert before_start.started_slot(machine) == ("slot-a", "")


@pytest.mark.spec("S4", "U4")
def test_the_menu_gives_nobody_a_command_line_or_an_editor(make_machine: MakeMachine) -> None:
    """GRUB asks who one is, and knows nobody; starting an entry asks nothing (shown above)."""
    machine = make_machine()
    before_start.start_into_menu(machine)

    def seen(text: str) -> int:
        return before_start.console(machine).count(text)

    for number, key in enumerate(("c", "e"), start=1):
        machine.send_keys(key)
        wait_for(lambda: seen("Enter username") == number, f"the question after {key}", 20)  # noqa: B023
        machine.send_keys("r", "ret")
        wait_for(lambda: seen("Enter password") == number, "the second question", 20)  # noqa: B023
        machine.send_keys("r", "ret")
        wait_for(lambda: seen("access denied") == number, "the answer", 20)  # noqa: B023
        wait_for(lambda: seen("keys to select which entry") == number + 1, "the menu", 20)  # noqa: B023
    assert not seen("grub>")
    assert not seen("setparams"), "an entry was shown for editing"


STATES = [
    BootState(),
    BootState(primary="slot-b", slot_b=TO_BE_TRIED),
    BootState(primary="slot-b", slot_b=SlotState(good=False, tries_left=1)),
    BootState(primary="slot-b", slot_b=BAD),
    BootState(primary="slot-b", slot_a=BAD, slot_b=PROVEN, last_good="slot-b"),
    BootState(primary="slot-a", slot_a=BAD, slot_b=TO_BE_TRIED),
    BootState(primary="slot-a", slot_a=BAD, slot_b=BAD, last_good="slot-b"),
    BootState(primary="slot-b", slot_b=PROVEN, last_good="slot-b", starts=5),
    BootState(primary="slot-b", slot_b=PROVEN, last_good="slot-b", starts=6),
    BootState(starts=7),
    BootState(starts=8),
    BootState(primary="slot-b", slot_b=PROVEN, starts=9),
    BootState(request="factory-reset"),
    BootState(request="configuration-reset", starts=1),
]


@pytest.mark.spec("U1", "U4")
def test_grub_and_the_system_agree_on_the_order_of_versions(make_machine: MakeMachine) -> None:
    """Nobody presses a key, and no slot can be started: GRUB tries all of them in order and starts over."""
    machine = make_machine()
    for name in ("slot-a", "slot-b", "factory"):
        before_start.empty_slot(machine, name)
    for state in STATES:
        before_start.write_state(machine, state)
        machine.start()
        machine.wait_serial("no version on this disk can be started", 120)
        order = re.findall(r"Allegro: ([\w-]+) is empty or damaged", before_start.console(machine))
        power_off(machine)
        assert tuple(order) == boot_state.boot_order(state), state
        assert before_start.read_state(machine).state == state, "what was not started is not counted"


@pytest.mark.long
@pytest.mark.spec("U1")
def test_a_slot_that_cannot_be_loaded_falls_to_the_next_without_a_key(make_machine: MakeMachine) -> None:
    """One byte is flipped in the kernel of a new version; then tries are counted down with a whole one."""
    machine = make_machine()
    content = bytearray(before_start.shipped_slot(machine))
    kernel = content.index(b"HdrS") - 0x202  # Linux boot protocol: the header of bzImage
    content[kernel + (4 << 20)] ^= 1
    before_start.fill_slot(machine, "slot-b", bytes(content))
    state = BootState(primary="slot-b", slot_b=TO_BE_TRIED)
    before_start.write_state(machine, state)
    machine.start()
    assert before_start.started_slot(machine) == ("slot-a", "")
    assert "Allegro: slot-b is empty or damaged" in before_start.console(machine)
    power_off(machine)
    assert before_start.read_state(machine).state == replace(state, starts=1)

    content[kernel + (4 << 20)] ^= 1
    before_start.fill_slot(machine, "slot-b", bytes(content))
    for tries_left in (2, 1, 0):
        machine.start()
        machine.wait_serial("Welcome to")
        power_off(machine)
        slot_b = SlotState(good=False, tries_left=tries_left)
        assert before_start.read_state(machine).state == replace(state, slot_b=slot_b, starts=4 - tries_left)
    machine.start()
    assert before_start.started_slot(machine) == ("slot-a", "")


@pytest.mark.spec("U3")
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("empty", marks=pytest.mark.long),
        "zero",
        "random",
        pytest.param("missing", marks=pytest.mark.long),
    ],
)
def test_starts_with_a_damaged_boot_state(make_machine: MakeMachine, damage: before_start.Damage) -> None:
    machine = make_machine("uefi" if damage == "zero" else "bios")
    before_start.damage_state(machine, damage)
    machine.start()
    assert before_start.started_slot(machine) == ("slot-a", "")
    if damage == "missing":  # nothing to repair, and no reason not to start
        assert machine.run("test -e /dev/disk/by-partlabel/boot-state", check=False).returncode != 0


@pytest.mark.spec("U3")
def test_a_damaged_boot_state_is_repaired_once_the_device_is_up(lab: Lab) -> None:
    """What each start does when the device records and answers, done once more."""
    machine = lab.machine
    machine.run("dd if=/dev/urandom of=/dev/disk/by-partlabel/boot-state bs=1M count=1; sync")
    machine.run("systemctl restart allegro-started", timeout=300)
    shown = machine.run("journalctl -b --no-pager -o cat -u allegro-started").stdout
    assert "The boot state was damaged and is written anew; slot-a starts next." in shown
    machine.run("sync")
    power_off(machine)
    reading = before_start.read_state(machine)
    assert reading.damaged == ()
    assert reading.state == BootState()


@pytest.mark.spec("U3")
def test_with_no_boot_state_at_all_starts_are_counted_all_the_same(make_machine: MakeMachine) -> None:
    """On the ESP, so that the rule against endless trying holds; and the factory version starts at last."""
    machine = make_machine()
    before_start.damage_state(machine, "random")
    for name in ("slot-a", "slot-b"):
        before_start.empty_slot(machine, name)
    starts = 0
    for _ in range(2):
        machine.start()
        machine.wait_serial("Welcome to")
        power_off(machine)
        by_itself = before_start.crashes(machine)
        slots = re.findall(r"Allegro: ([\w-]+) is empty or damaged", before_start.console(machine))
        assert slots == ["slot-a", "slot-b"] * (1 + by_itself)
        starts += 1 + by_itself
    esp = before_start.LAYOUT["esp"]
    assert f"starts={starts}\n".encode() in machine.read_disk(esp.start, esp.size)
