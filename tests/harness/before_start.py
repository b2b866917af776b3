"""What happens before the system: partitions of a machine that is off, its boot state, GRUB's menu."""

import random
import re
import struct
import zlib
from pathlib import Path
from typing import Literal

from allegro.firmware import boot_state
from allegro.firmware.boot_state import BootName, BootState, Reading
from board.allegro.image.layout import Layout, Partition, read_layout
from tests.harness.bench_errors import BenchError, BenchTimeoutError
from tests.harness.qemu import REPOSITORY, VirtualMachine
from tests.harness.watch import CRASH, HUNG

LAYOUT: Layout = read_layout(REPOSITORY / "board/allegro/layout.toml")
MENU = ("start", "previous", "configuration-reset", "factory-reset")
_FIRST_ROW = 5  # of GRUB's menu on the console, in lines
Damage = Literal["empty", "zero", "random", "missing"]

_ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]")


def part_bytes(machine: VirtualMachine, name: str, length: int | None = None) -> bytes:
    """Return the first bytes of a partition (default: all) of a machine that is off."""
    part = LAYOUT[name]
    return machine.read_disk(part.start, part.size if length is None else length)


def read_state(machine: VirtualMachine) -> Reading:
    """Return the boot state on the disk of a machine that is off."""
    path = machine.directory / "boot-state"
    path.write_bytes(part_bytes(machine, "boot-state"))
    return boot_state.examine(path)


def write_state(machine: VirtualMachine, state: BootState) -> None:
    """Write the boot state to the disk of a machine that is off, as the system writes it."""
    path = machine.directory / "boot-state"
    path.write_bytes(bytes(LAYOUT["boot-state"].size))
    boot_state.write(path, state)
    machine.write_disk(LAYOUT["boot-state"].start, path.read_bytes())


def damage_state(machine: VirtualMachine, how: Damage) -> None:
    """Destroy the boot state: all ones as on erased flash, all zero, random bytes, or no such partition."""
    part = LAYOUT["boot-state"]
    if how == "missing":
        remove_partition(machine, part)
        return
    content = {
        "empty": b"\xff" * part.size,
        "zero": bytes(part.size),
        "random": random.Random(20261122).randbytes(part.size),
    }[how]
    machine.write_disk(part.start, content)


def remove_partition(machine: VirtualMachine, part: Partition) -> None:
    """Take a partition out of both tables (UEFI specification 2.10, 5.3: GUID partition table)."""
    last = int.from_bytes(machine.read_disk(512, 512)[32:40], "little")
    for at in (512, last * 512):
        header = bytearray(machine.read_disk(at, 512))
        if header[:8] != b"EFI PART":
            raise BenchError(f"no partition table at byte {at}")
        entries_at, count, size = struct.unpack_from("<QII", header, 72)
        entries = bytearray(machine.read_disk(entries_at * 512, count * size))
        entries[(part.number - 1) * size : part.number * size] = bytes(size)
        struct.pack_into("<I", header, 88, zlib.crc32(entries))
        length = struct.unpack_from("<I", header, 12)[0]
        struct.pack_into("<I", header, 16, 0)
        struct.pack_into("<I", header, 16, zlib.crc32(header[:length]))
        machine.write_disk(entries_at * 512, bytes(entries))
        machine.write_disk(at, bytes(header))


def empty_slot(machine: VirtualMachine, name: BootName) -> None:
    """Make a slot unreadable for the boot loader."""
    machine.write_disk(LAYOUT[name].start, bytes(4096))


def fill_slot(machine: VirtualMachine, name: BootName, content: bytes) -> None:
    """Write a squashfs into a slot."""
    machine.write_disk(LAYOUT[name].start, content)


def shipped_slot(machine: VirtualMachine) -> bytes:
    """Return the squashfs that the image brings in slot A."""
    return part_bytes(machine, "slot-a", squashfs_length(part_bytes(machine, "slot-a", 96)))


def squashfs_length(superblock: bytes) -> int:
    """Return how many bytes a squashfs takes: what it says itself (bytes_used), padded to 4 KiB."""
    return -(-int.from_bytes(superblock[40:48], "little") // 4096) * 4096


def console(machine: VirtualMachine) -> str:
    """Return what the serial console has said since the last start, without movements of the cursor."""
    return _ESCAPES.sub("\n", machine.serial_text())


def crashes(machine: VirtualMachine) -> int:
    """How often the last start was begun anew, as the emulator made the kernel crash or hang."""
    return console(machine).count(CRASH) + machine.begun_anew.count(HUNG)


def wait_countdown(machine: VirtualMachine) -> None:
    """Wait until GRUB counts down to the start; the space bar leads to its menu then."""
    machine.wait_serial(r"press the space bar", 120)


def open_menu(machine: VirtualMachine) -> bool:
    """Open GRUB's menu in a machine that counts down; False if it does not come."""
    machine.send_keys("spc")
    try:
        machine.wait_serial(r"keys to select which entry", 10)
    except BenchTimeoutError:
        return False
    return True


def start_into_menu(machine: VirtualMachine) -> None:
    """Start a machine that is off, and open GRUB's menu. Raises BenchError.

    The countdown takes three seconds: on a host that stalled meanwhile it is done anew.
    """
    for _ in range(3):
        machine.start()
        wait_countdown(machine)
        if open_menu(machine):
            return
        machine.quit()
    raise BenchError(f"the menu did not open; console:\n{console(machine)[-1500:]}")


def start_entry(machine: VirtualMachine, state: BootState, entry: str, screenshot: Path | None = None) -> str:
    """Start a machine that is off with this boot state, by an entry of its menu; returns the console's text.

    The countdown takes three seconds: on a host that stalled meanwhile it is done anew.
    """
    for _ in range(3):
        write_state(machine, state)
        machine.start()
        wait_countdown(machine)
        if open_menu(machine):
            if screenshot is not None:
                screenshot.parent.mkdir(parents=True, exist_ok=True)
                machine.screenshot(screenshot)
            text = console(machine)
            if _choose(machine, entry):
                return text
        machine.quit()
    raise BenchError(
        f"the entry {entry} of the menu could not be chosen; console:\n{console(machine)[-1500:]}"
    )


def _choose(machine: VirtualMachine, entry: str) -> bool:
    """Choose an entry of the menu that is shown, by the keyboard; False if the menu does not follow."""
    for row in range(1, MENU.index(entry) + 1):
        machine.send_keys("down")
        highlighted = rf"\x1b\[{_FIRST_ROW + row};3H\*"
        try:
            machine.wait_serial(highlighted, 5)
        except BenchTimeoutError:
            return False
    machine.send_keys("ret")
    return True


def started_slot(machine: VirtualMachine) -> tuple[str, str]:
    """Return slot and requested reset on the kernel's command line of the running system."""
    machine.wait_agent(400)
    words = dict(
        word.partition("=")[::2] for word in machine.pull("/proc/cmdline").decode().split() if "=" in word
    )
    return words["allegro.slot"], words["allegro.request"]
