"""The disk of the ring gets bad sectors: a loop device on a file that QEMU's storage daemon shows by FUSE."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.extraction.contract import Request
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from tests.harness.extents import extents
from tests.harness.qmp import QmpClient
from tests.harness.sick_disk import SickDisk, places_within
from tests.harness.waiting import wait_for
from tests.host.test_ring_disk import Bench, Disk, recording_with
from tests.host.test_ring_in_memory import live_capture, numbers, streamed

KIB = 1024


class LoopDisk(Disk):
    """`sick` is what its sectors are like.

    The loop device takes for written what FUSE has refused in part: writes have to come in whole pages, few
    at once, as those of quiet links do.
    """

    sick: SickDisk

    def plug_in(self) -> None:
        file, monitor = self._slot / "sectors", self._slot / "qmp"
        file.touch()
        command = ["qemu-storage-daemon", "--chardev", f"socket,id=qmp,path={monitor},server=on,wait=off"]
        self._daemon = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command, "--monitor", "qmp"])
        wait_for(monitor.exists, "QEMU's storage daemon", 20)
        self._qmp = QmpClient(monitor)
        self.sick = SickDisk(self._qmp.execute, self._image, "disk")
        self._qmp.execute(
            "block-export-add",
            id="sectors",
            type="fuse",
            node_name=self.sick.name,
            mountpoint=str(file),
            writable=True,
        )
        find = ["losetup", "--find", "--show", str(file)]
        device = subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(["mount", device, str(self.place)], check=True)
        subprocess.run(["losetup", "--detach", device], check=True)  # with its last user

    def forget_what_was_read(self) -> None:
        """So that the next look at it is one at the sectors."""
        self.make_safe()
        descriptor = os.open(self._slot / "sectors", os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        super().close()
        self._qmp.execute("quit")
        self._qmp.close()
        self._daemon.wait(20)


@pytest.fixture
def bench(tmp_path: Path, worker_id: str) -> Iterator[Bench]:
    with recording_with(LoopDisk, f"bad-sectors-{worker_id}", tmp_path) as made:
        yield made


def parts(ring: Path, *, unwritten: bool) -> list[tuple[int, int]]:
    """Where on the disk the ring lies (start and length in bytes): what was written, or what is reserved."""
    found = [each for path in ring.glob("*.blocks") for each in extents(str(path))]
    return [(start, length) for start, length, reserved in found if reserved == unwritten]


def cut(ring: Path, since_ns: int, output: Path) -> tuple[list[int], list[str]]:
    """Numbers of the frames in a capture until now, and what it tells."""
    request = Request(ring, since_ns, time.time_ns(), output)
    result = extract(request, lambda *_: None, Courtesy(None))
    return numbers(output.read_bytes()), list(result.notes)


@pytest.mark.spec("W5", "R2", "R5", "R8", "R10")
@pytest.mark.timeout(240)
def test_bad_sectors_of_the_ring_cost_what_is_on_them_which_is_told(bench: Bench, tmp_path: Path) -> None:
    recording, disk, stream = bench.recording, bench.disk, tmp_path / "live.pcapng"
    assert isinstance(disk, LoopDisk)
    since_ns = time.time_ns()
    bench.go_to(disk.ring)
    live = live_capture(recording, stream, disk.ring)  # right after the move
    try:
        with bench.sending():
            wait_for(lambda: streamed(stream), "packets in the live capture", 60)
        recording.wait_until_complete()
        safe = bench.sent

        disk.sick.spoil(places_within(parts(disk.ring, unwritten=True), 16 * KIB, 64 * KIB))
        with bench.sending():
            wait_for(lambda: recording.status().write_errors > 2, "writes that the disk refuses", 120)
        recording.wait_until_complete()
        said = recording.status()
        assert (said.state, said.ring_directory) == (status.RECORDING, str(disk.ring))
        lost = sum(port.unwritten for port in said.ports)

        kept, notes = cut(disk.ring, since_ns, tmp_path / "out.pcapng")
        assert kept[:safe] == list(range(safe)), "what was safe is there"
        assert kept == sorted(set(kept))
        assert (lost > 0, safe < len(kept), len(kept) + lost) == (True, True, bench.sent)
        assert any("because the disk refused them" in note for note in notes), notes
        wait_for(lambda: streamed(stream) == kept, "the same in the live capture", 60)
    finally:
        live.kill()
        live.wait()
    bench.go_to(bench.own)


@pytest.mark.spec("W5", "R5", "R10")
@pytest.mark.timeout(240)
def test_what_lies_on_sectors_that_get_bad_is_told_and_all_else_is_there(
    bench: Bench, tmp_path: Path
) -> None:
    recording, disk = bench.recording, bench.disk
    assert isinstance(disk, LoopDisk)
    since_ns = time.time_ns()
    bench.go_to(disk.ring)
    with bench.sending():
        wait_for(lambda: bench.sent > 3000, "enough frames", 120)
    recording.wait_until_complete()
    assert cut(disk.ring, since_ns, tmp_path / "before.pcapng") == (list(range(bench.sent)), [])
    disk.sick.spoil(places_within(parts(disk.ring, unwritten=False), 36 * KIB, 256 * KIB))
    disk.forget_what_was_read()
    kept, notes = cut(disk.ring, since_ns, tmp_path / "after.pcapng")
    told = re.search(r"([\d,]+) packets .*damaged on the disk", " ".join(notes))
    assert told, notes
    assert kept == sorted(set(kept))
    assert 0 < bench.sent - len(kept) == int(told[1].replace(",", ""))
    bench.go_to(bench.own)
