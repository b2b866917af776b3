"""The truth with a real disk in trouble: a file system that stands still, is full, or loses its power."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from allegro.capture.extraction.contract import LATEST_NS
from allegro.capture.ring.reader import RingReader
from allegro.system import boottime
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.host.recording import MIB, Recording, add_port
from tests.host.truth import NS, Bench

BURST_S = 2
LOST_S = 1
"""What was written is made safe twice a second."""


@dataclass
class Disk:
    """A file system in the file `image`, in the place of the ring. Its journal is written when somebody asks
    for it (commit=): what nobody made safe is not in a `copy`."""

    image: Path
    place: Path

    def mount(self) -> None:
        options = "loop,commit=3000"
        subprocess.run(["mount", "-o", options, str(self.image), str(self.place)], check=True)

    def freeze(self, *, frozen: bool) -> None:
        """Whoever writes, renames or removes anything waits."""
        subprocess.run(["fsfreeze", "--freeze" if frozen else "--unfreeze", str(self.place)], check=True)

    def fill(self) -> Path:
        """Somebody else takes all that is left."""
        hog = self.place / "hog"
        with hog.open("wb", buffering=0) as file:
            for size in (MIB, 4096):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue
        return hog

    def take_inodes(self) -> Path:
        """Somebody else makes so many files that there can be no further one."""
        hog = self.place / "hog"
        hog.mkdir()
        for number in range(os.statvfs(hog).f_favail):
            (hog / str(number)).touch()
        return hog

    def copy(self) -> Path:
        """What the disk itself has; what is only in the system's memory is not in it."""
        made = self.image.with_suffix(".copy")
        shutil.copy(self.image, made)
        return made

    def replace(self, image: Path) -> None:
        """Goes on with this image."""
        subprocess.run(["umount", str(self.place)], check=True)
        image.replace(self.image)
        self.mount()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "disk", tmp_path / "ring")
    made.place.mkdir()
    with made.image.open("wb") as file:
        file.truncate(160 * MIB)
    few = ["-E", "lazy_itable_init=0", "-N", "1024"]
    subprocess.run(["mkfs.ext4", "-q", *few, str(made.image)], check=True)
    made.mount()
    yield made
    subprocess.run(["fsfreeze", "--unfreeze", str(made.place)], capture_output=True)
    subprocess.run(["umount", str(made.place)], check=True)


@pytest.fixture
def bench(tmp_path: Path, disk: Disk, worker_id: str) -> Iterator[Bench]:
    namespace = Namespace(f"truth-disk-{worker_id}")
    bench = Bench(Recording(namespace, tmp_path), tmp_path / "stall")
    try:
        add_port(namespace, 1)
        bench.start()
        yield bench
        bench.recording.stop()
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(disk.place)], capture_output=True)
        if bench.recording.process is not None and bench.recording.process.poll() is None:
            bench.recording.kill()
        namespace.close()


@pytest.mark.spec("R5", "R10", "T6")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.long)])
def test_a_disk_that_stands_still(bench: Bench, disk: Disk, seconds: int) -> None:
    """A quiet link loses nothing, and two presses, closely one after the other, get all of theirs as soon as
    the recorder says so. Then more comes in than fits into memory: what is missing is counted."""
    bench.send_for(0.5)
    disk.freeze(frozen=True)
    with bench.sending():
        time.sleep(seconds - BURST_S)
        first_ns = boottime.now_ns()
        time.sleep(0.03)
        second_ns = boottime.now_ns()
        assert bench.recording.status().complete_through_boot_ns < first_ns
        assert bench.recording.status().write_waits_s > 1
        disk.freeze(frozen=False)
        for press_ns in (first_ns, second_ns):
            bench.complete_through(press_ns)
            missing, result = bench.check(bench.sent[0], press_ns)
            assert missing == []
            assert result.notes == []
    bench.complete()
    wait_for(lambda: bench.recording.status().write_waits_s == 0, "nothing that waits", 30)
    disk.freeze(frozen=True)
    bench.pause_s = 0.0
    bench.send_for(BURST_S)
    bench.pause_s = 0.005
    disk.freeze(frozen=False)
    bench.complete()
    end_ns = boottime.now_ns()
    missing, _ = bench.check(bench.sent[0], end_ns)
    assert len(missing) == bench.check_sums(bench.sent[0], end_ns) > 0
    assert bench.recording.status().state == "recording"


@pytest.mark.spec("R1", "R5", "R10", "T6")
@pytest.mark.timeout(120)
def test_a_disk_that_others_fill(bench: Bench, disk: Disk) -> None:
    """The packets have their place; a recorder that is killed and started meanwhile finds them, too."""
    bench.send_for(0.5)
    hog = disk.fill()
    before_ns = boottime.now_ns()
    with bench.sending():
        time.sleep(1)
        bench.recording.kill()
        bench.start()
        bench.complete()
    after_ns = boottime.now_ns()
    bench.send_for(0.5)
    hog.unlink()
    bench.complete()
    end_ns = boottime.now_ns()
    assert bench.check(bench.sent[0], before_ns)[0] == bench.check(after_ns, end_ns)[0] == []
    missing, result = bench.check(bench.sent[0], end_ns)
    assert missing
    assert any("not running" in note for note in result.notes)


@pytest.mark.spec("R1", "R5", "R10", "T6")
@pytest.mark.timeout(180)
def test_a_disk_on_which_others_take_all_inodes(bench: Bench, disk: Disk) -> None:
    """No file can be made any more, no index either: the packets have their place, a recorder that is killed
    and started meanwhile finds them, and nobody calls the disk broken."""
    bench.send_for(0.5)
    hog = disk.take_inodes()
    for _ in range(25):  # on to further segments
        bench.burst(1000)
        bench.complete()
    before_ns = boottime.now_ns()
    assert bench.recording.status().write_errors == 0
    bench.on_record()
    bench.recording.kill()
    bench.start()
    bench.complete()
    after_ns = boottime.now_ns()
    bench.send_for(0.5)
    bench.complete()
    shutil.rmtree(hog)
    end_ns = boottime.now_ns()
    assert bench.check(bench.sent[0], before_ns)[0] == bench.check(after_ns, end_ns)[0] == []
    assert bench.recording.status().write_errors == 0


@pytest.mark.spec("R2", "R5", "R10", "T6")
@pytest.mark.timeout(120)
def test_a_power_cut(bench: Bench, disk: Disk) -> None:
    """Of the last second, nothing is on the disk but what the file system made safe by itself."""
    recording = bench.recording
    with bench.sending():
        time.sleep(2 * LOST_S)
        recording.signal(signal.SIGSTOP)
        cut_ns = boottime.now_ns()
        left = disk.copy()
        recording.kill()
        disk.replace(left)
        cut_off(recording.ring, cut_ns - LOST_S * NS)
        bench.start()
        bench.complete()
    bench.complete()
    end_ns = boottime.now_ns()
    assert bench.check(bench.sent[0], cut_ns - LOST_S * NS)[0] == []
    missing, result = bench.check(bench.sent[0], end_ns)
    assert missing
    assert any("not running" in note for note in result.notes)


def cut_off(ring: Path, since_boot_ns: int) -> None:
    """The disk has not written what is younger, although it said so: a cache of its own."""
    with RingReader(ring) as reader:
        young = [record for record in reader.records(0, LATEST_NS) if record.first_boot_ns >= since_boot_ns]
    assert young
    for record in young:
        with record.segment.path.open("r+b") as file:
            os.pwrite(file.fileno(), bytes(record.length), record.offset)
