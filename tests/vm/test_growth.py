"""The data partition grows to the disk at the first start, without a restart, whatever power cuts do."""

import random
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness import before_start
from tests.harness.qemu import Configuration, VirtualMachine
from tests.harness.waiting import wait_for

MIB = 1 << 20
DISK_MIB = (before_start.LAYOUT.size >> 20) + 3072


@pytest.fixture
def machine(configuration: Configuration, tmp_path: Path) -> Iterator[VirtualMachine]:
    """A machine, off, whose disk is 3 GiB larger than the image."""
    larger = replace(configuration, ports=0, system_disk_mib=DISK_MIB)
    made = VirtualMachine(tmp_path / "machine", larger)
    yield made
    made.close()
    made.remove_disks()


def assert_grown(machine: VirtualMachine) -> None:
    """The file system comes to fill what the larger disk has (its own tables take a few per cent)."""
    available = DISK_MIB * MIB - before_start.LAYOUT["data"].start
    machine.wait_agent(400)

    def full_size() -> bool:
        found = machine.run("findmnt /data >/dev/null && stat -f --format='%b %S' /data", check=False)
        blocks, size = (int(word) for word in found.stdout.split() or ("0", "0"))
        return blocks * size > 0.95 * available

    wait_for(full_size, "the grown file system", 300, 1)
    failed = machine.run("systemctl list-units --failed --plain --no-legend").stdout
    assert failed == "", machine.run(
        "journalctl -b --no-pager -o cat -u systemd-repart -u systemd-growfs@data"
    ).stdout


@pytest.mark.spec("I2", "U3")
def test_grows_at_the_first_start_whatever_is_cut(machine: VirtualMachine) -> None:
    moments = random.Random(20261122)
    for unit in ("systemd-repart", "systemd-growfs"):
        machine.start()
        machine.wait_serial(f"Starting.*{unit}", 300)
        time.sleep(moments.uniform(0, 1))
        machine.cut_power()
    machine.start()
    assert_grown(machine)
    assert before_start.console(machine).count("Booting `Start") == 1 + before_start.crashes(machine), (
        "it took a restart"
    )


@pytest.mark.spec("U3")
def test_starts_when_the_first_partition_table_is_half_written(machine: VirtualMachine) -> None:
    """The moment in growing when the second table is new, the first one's entries too, but not its header."""
    header = bytearray(machine.read_disk(512, 512))
    entries_at, count, size = struct.unpack_from("<QII", header, 72)
    entries = bytearray(machine.read_disk(entries_at * 512, count * size))
    last = DISK_MIB * MIB // 512 - 1
    last_usable = last - count * size // 512 - 1
    # As systemd-repart does it: partitions begin and end at multiples of 4096 bytes.
    end = (last_usable + 1) // 8 * 8 - 1
    struct.pack_into("<Q", entries, (before_start.LAYOUT["data"].number - 1) * size + 40, end)
    struct.pack_into("<QQ", header, 24, last, 1)
    struct.pack_into("<Q", header, 48, last_usable)
    struct.pack_into("<Q", header, 72, last_usable + 1)
    struct.pack_into("<I", header, 88, zlib.crc32(entries))
    struct.pack_into("<I", header, 16, 0)
    struct.pack_into("<I", header, 16, zlib.crc32(header[: struct.unpack_from("<I", header, 12)[0]]))
    machine.write_disk((last_usable + 1) * 512, bytes(entries))
    machine.write_disk(last * 512, bytes(header))
    machine.write_disk(entries_at * 512, bytes(entries))
    machine.start()
    assert_grown(machine)
