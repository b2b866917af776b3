"""USB disks that get bad sectors while the device uses them: one for captures, one for the packet ring."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab
from tests.harness import extents
from tests.harness.captures import Capture, check
from tests.harness.device import ApiRefusedError
from tests.harness.frames import number_of, udp_frame
from tests.harness.live import LiveCapture
from tests.harness.qemu import VirtualMachine
from tests.harness.sick_disk import SickDisk, free_extents, places_within
from tests.harness.waiting import wait_for
from tests.vm.test_capture_disk import ID, ON_DISK, RING_ID, SIZE, captured, has_ring_at, pid_of, where

KIB = 1024
SERIES = 15
LARGE = 1024
"""Large frames enough for a capture that no place between two bad sectors has room for."""


class Bench:
    """The device with both disks, and the frames that were sent through it, all numbered."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.sent = 0
        self.images = {ID: folder / "stick.img", RING_ID: folder / "ringdisk.img"}
        for uuid, image in self.images.items():
            with image.open("wb") as file:
                file.truncate(SIZE)
            subprocess.run(["mkfs.ext4", "-q", "-E", "root_owner=0:0", "-U", uuid, str(image)], check=True)
        self.stick, self.ring_disk = (
            SickDisk(lab.machine.qmp, image, image.stem) for image in self.images.values()
        )

    def send(self, count: int, size: int = 128) -> None:
        numbers = range(self.sent, self.sent + count)
        self.lab.ports[0].send_all(udp_frame(number, size=size, series=SERIES) for number in numbers)
        self.sent += count

    def send_and_see(self, count: int, size: int = 128) -> None:
        """Sends, and waits until the recorder has counted all."""
        self.send(count, size)
        wait_for(lambda: self.counted() >= self.sent, f"{self.sent} frames in the recorder's count", 60)

    def counted(self) -> int:
        return sum(port["packets"] for port in self.recorder()["ports"] if port["name"] == "port1")

    def unwritten(self) -> int:
        """Frames that the disk refused."""
        return sum(port["unwritten"] for port in self.recorder()["ports"])

    def recorder(self) -> dict[str, Any]:
        status: dict[str, Any] = self.lab.machine.run("cat /run/allegro/recorder/status.json").json()
        return status

    def problem(self, name: str) -> str:
        """What the device says of it; empty if it does not."""
        problems = self.lab.device.status()["problems"]
        return next((each["text"] for each in problems if each["id"] == name), "")

    def content(self, name: str) -> bytes:
        """Of a capture on the stick, read by the device from its sectors."""
        self.lab.machine.run("sync; echo 3 > /proc/sys/vm/drop_caches")
        supervisor = pid_of(self.lab, "supervisor")
        return self.lab.machine.pull(f"/proc/{supervisor}/root/run/allegro/disk/allegro/{name}")

    def judged(self, name: str) -> Capture:
        path = self.folder / name
        path.write_bytes(self.content(name))
        return check(path)

    def is_clean(self, uuid: str) -> bool:
        checked = subprocess.run(
            ["e2fsck", "-fn", str(self.images[uuid])], capture_output=True, text=True, check=False
        )
        return checked.returncode == 0


def numbers(capture: Capture) -> list[int]:
    """Of our frames, which are all that comes in."""
    found = [number_of(packet.data) for packet in capture.packets]
    return [number for series, number in filter(None, found) if series == SERIES]


def use_both_disks(bench: Bench) -> None:
    device = bench.lab.device

    def offered() -> bool:
        volumes = device.get("/disks")["volumes"]
        return {each["uuid"] for each in volumes if not each["ring_objection"]} == {ID, RING_ID}

    for port, disk in (("4", bench.stick), ("5", bench.ring_disk)):
        bench.lab.machine.add_device(
            "usb-storage", f"usb-{disk.name}", drive=disk.name, removable=True, bus="usb.0", port=port
        )
    wait_for(offered, "both disks in the list", 60)
    assert device.api("PUT", "/disks/chosen", {"uuid": ID})["used"]
    device.api("PUT", "/disks/ring", {"uuid": RING_ID, "size_mib": 64})
    wait_for(lambda: has_ring_at(bench.lab, ON_DISK), "the ring on the disk", 60)


@pytest.mark.spec("W5", "R2", "R5", "R8")
def test_bad_sectors_cost_what_is_on_them_which_is_told(lab: Lab, tmp_path: Path) -> None:
    bench, live = Bench(lab, tmp_path), LiveCapture(lab.machine, tmp_path / "live.pcapng")
    programs = {unit: pid_of(lab, unit) for unit in ("recorder", "supervisor")}
    use_both_disks(bench)
    with live:  # begun right after the move
        bench.send_and_see(10)
        wait_for(lambda: len(live_numbers(live)) == 10, "the frames in the live capture", 120, 0.5)
        first = captured(lab, before_s=3600)
        wait_for(lambda: where(lab, first) == ["disk"], "the first capture on the stick", 60)
        whole = bench.judged(first)
        assert numbers(whole) == list(range(10))

        capture_disk_gets_bad_sectors(bench, first)
        ring_disk_gets_bad_sectors(bench, live)

    wait_for(lambda: is_accepted(lab, "/disks/remove"), "the stick, when nobody uses it any more", 60)
    wait_for(lambda: is_accepted(lab, "/disks/ring/remove"), "the ring's disk, when nobody uses it", 60)
    for disk in (bench.stick, bench.ring_disk):
        lab.machine.remove_device(f"usb-{disk.name}")
    assert [bench.is_clean(uuid) for uuid in bench.images] == [True, True]
    assert {unit: pid_of(lab, unit) for unit in programs} == programs
    assert "Traceback" not in lab.machine.run("journalctl -b -u 'allegro-*' --no-pager").stdout


def extents_of(machine: VirtualMachine, files: str, *, unwritten: bool) -> list[tuple[int, int]]:
    """Where on their disk files of the device (a pattern of the shell) lie: start and length in bytes; either
    what was written, or what is only reserved."""
    program = Path(extents.__file__).read_bytes()
    found: list[tuple[int, int, bool]] = machine.run(f"python3 -I - {files}", stdin=program).json()
    return [(start, length) for start, length, reserved in found if reserved == unwritten]


def is_accepted(lab: Lab, order: str) -> bool:
    try:
        lab.device.post(order)
    except ApiRefusedError:
        return False
    return True


def live_numbers(live: LiveCapture) -> list[int]:
    return numbers(Capture(packets=live.packets()))


def capture_disk_gets_bad_sectors(bench: Bench, first: str) -> None:
    """A large capture stays on the device and is told; it goes to the stick when that is well."""
    lab, before = bench.lab, bench.content(first)
    bench.send_and_see(LARGE, 1500)
    top = f"/proc/{pid_of(lab, 'supervisor')}/root/run/allegro/disk"
    taken = extents_of(lab.machine, f"{top} {top}/allegro {top}/allegro/*", unwritten=False)
    places = places_within(free_extents(bench.images[ID]), 64 * KIB, 128 * KIB)
    bench.stick.spoil(
        each for each in places if not any(start <= each < start + length for start, length in taken)
    )
    large = captured(lab, before_s=3600)
    told = wait_for(lambda: bench.problem("capture-disk"), "the bad sectors in the problems", 120)
    assert told == (
        f"{large} cannot be moved to the disk that was chosen for captures:"
        " it reports an error (Input/output error)."
    )
    assert (where(lab, first), where(lab, large)) == (["disk"], ["storage"])
    assert bench.content(first) == before
    bench.stick.heal()
    wait_for(lambda: where(lab, large) == ["disk"], "the large capture on the stick", 120)
    wait_for(lambda: not bench.problem("capture-disk"), "no word of the stick in the problems", 60)
    assert numbers(bench.judged(large)) == list(range(bench.sent))
    assert bench.content(first) == before


def ring_disk_gets_bad_sectors(bench: Bench, live: LiveCapture) -> None:
    """Recording goes on; what lay on them is counted, told in files, and all else is there."""
    lab, safe = bench.lab, bench.sent
    files = f"/proc/{pid_of(lab, 'recorder')}/root{ON_DISK}/*.blocks"
    reserved = extents_of(lab.machine, files, unwritten=True)
    bench.ring_disk.spoil(places_within(reserved, 16 * KIB, 64 * KIB))

    def some_refused() -> bool:
        bench.send(5)
        return bench.unwritten() > 0

    wait_for(some_refused, "frames that the disk refuses", 300)
    told = wait_for(lambda: bench.problem("ring-write-errors"), "the refused writes in the problems", 60)
    assert told.startswith("The storage device of the packet ring buffer refused ")
    bench.send_and_see(5)
    name = captured(lab, before_s=3600)
    wait_for(lambda: where(lab, name) == ["disk"], "the capture on the stick", 60)
    capture, lost = bench.judged(name), bench.unwritten()
    found = numbers(capture)
    assert found[:safe] == list(range(safe)), "what was safe is there"
    assert found == sorted(set(found))
    assert 0 < len(found) - safe == bench.sent - safe - lost
    assert "because the disk refused them" in capture.comment
    assert capture.statistics["port1"].os_drops == lost
    wait_for(lambda: live_numbers(live) == found, "the same in the live capture", 120, 0.5)
