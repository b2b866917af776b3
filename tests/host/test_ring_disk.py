"""The recorder is sent to another disk and back, while packets come in and a disk is gone."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.extraction.contract import Request
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring.news import RingOpened
from allegro.capture.ring.reader import RingReader
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.host.recording import MIB, Recording, add_port, contents, frame, send
from tests.host.test_ring_in_memory import live_capture, streamed
from tests.unit.capture.pcapng_reader import read

_SHUTDOWN, _AS_IT_IS = 0x8004587D, struct.pack("I", 2)
"""EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH (fs/ext4/ext4.h)."""


class Disk:
    """An ext4 file system that can be pulled: from then on every read and write fails.

    The recorder, which has mounts of its own, sees it come and go, as on the device.
    """

    def __init__(self, folder: Path) -> None:
        self._slot = folder / "slot"
        self._image, self.place = folder / "image", self._slot / "disk"
        self.ring = self.place / "allegro-ring"
        self.place.mkdir(parents=True)
        for options in (("--bind", str(self._slot)), ("--make-shared",)):
            subprocess.run(["mount", *options, str(self._slot)], check=True)
        with self._image.open("wb") as file:
            file.truncate(160 * MIB)
        made = ["-b", "4096", "-E", "lazy_itable_init=0"]  # blocks as on a large disk
        subprocess.run(["mkfs.ext4", "-q", *made, str(self._image)], check=True)
        self.plug_in()
        self.ring.mkdir()

    def plug_in(self) -> None:
        """It is another device each time, whatever still holds the one before."""
        find = ["losetup", "--find", "--show", str(self._image)]
        device = subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip()
        subprocess.run(["mount", device, str(self.place)], check=True)
        subprocess.run(["losetup", "--detach", device], check=True)  # with its last user

    def make_safe(self) -> None:
        """As the recorder does twice a second, or later on a busy machine."""
        subprocess.run(["sync", "--file-system", str(self.place)], check=True)

    def pull(self) -> None:
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, _AS_IT_IS)
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """As the device does with one that is gone."""
        subprocess.run(["umount", "--lazy", str(self.place)], check=True)

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", "--recursive", str(self._slot)], check=True)


class Bench:
    def __init__(self, recording: Recording, disk: Disk) -> None:
        self.recording = recording
        self.disk = disk
        self.own = recording.ring
        self.sent = 0

    def go_to(self, ring: Path) -> None:
        """Tells the recorder where its ring is to be, and waits until it is there."""
        self.recording.options["ring_directory"] = ring
        self.recording.configure()
        self.recording.signal(signal.SIGHUP)
        wait_for(lambda: self.is_at(ring), f"the ring in {ring}", 30)

    def is_at(self, ring: Path) -> bool:
        said = self.recording.status()
        return said.state == status.RECORDING and said.ring_directory == str(ring)

    @contextmanager
    def sending(self) -> Iterator[None]:
        stop = threading.Event()

        def traffic() -> Iterator[bytes]:
            while not stop.is_set():
                yield frame(1, self.sent)
                self.sent += 1
                time.sleep(0.002)

        thread = threading.Thread(target=send, args=(self.recording.namespace, "gen1", traffic()))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def recording_with(kind: type[Disk], name: str, folder: Path) -> Iterator[Bench]:
    """A recorder of one port, in a namespace of this name, and a disk beside its own."""
    namespace = Namespace(name)
    recording, disk = Recording(namespace, folder), kind(folder)
    try:
        add_port(namespace, 1)
        recording.take_any_load()
        recording.start_with_ports("port1")
        yield Bench(recording, disk)
        recording.stop()
    finally:
        if recording.process is not None and recording.process.poll() is None:
            recording.kill()
        disk.close()
        namespace.close()


@pytest.fixture
def bench(tmp_path: Path, worker_id: str) -> Iterator[Bench]:
    with recording_with(Disk, f"ring-disk-{worker_id}", tmp_path) as made:
        yield made


@pytest.mark.spec("W5", "R2", "R5")
@pytest.mark.timeout(180)
def test_recording_goes_on_when_the_disk_of_the_ring_is_gone_and_goes_back_to_it(bench: Bench) -> None:
    recording, disk = bench.recording, bench.disk
    with bench.sending():
        bench.go_to(disk.ring)
        recording.wait_until_complete()
        safe = bench.sent
        recording.wait_until_complete()
        disk.make_safe()
        disk.pull()
        bench.go_to(bench.own)
        disk.unmount()
        recording.wait_until_complete()
    recording.wait_until_complete()
    counted = recording.status()
    assert counted.state == status.RECORDING
    own = [seen.number for seen in contents(bench.own)]
    assert own[-1] == bench.sent - 1
    told = [item.reason for item in all_news(bench.own) if isinstance(item, RingOpened)]
    assert "refuses packets (Input/output error)" in told[-1]
    assert counted.write_errors > 0
    assert counted.ring_write_errors == 0, "the disk here is well"
    disk.plug_in()
    with bench.sending():
        bench.go_to(disk.ring)
        recording.wait_until_complete()
    recording.wait_until_complete()
    on_disk = [seen.number for seen in contents(disk.ring)]
    assert on_disk[-1] == bench.sent - 1
    both = {*on_disk, *(seen.number for seen in contents(bench.own))}
    assert set(range(safe)) <= both, "what was safe is there"
    assert recording.status().packets == bench.sent


@pytest.mark.spec("W5", "R2", "R5", "R8")
@pytest.mark.timeout(180)
def test_a_move_loses_nothing_and_a_live_capture_lets_the_disk_go(bench: Bench, tmp_path: Path) -> None:
    recording, disk, stream = bench.recording, bench.disk, tmp_path / "live.pcapng"
    live: subprocess.Popen[bytes] | None = None

    def is_let_go() -> bool:
        return subprocess.run(["umount", "-q", str(disk.place)], check=False).returncode == 0

    try:
        with bench.sending():
            bench.go_to(disk.ring)
            recording.wait_until_complete()
            live = live_capture(recording, stream, disk.ring)
            wait_for(lambda: streamed(stream), "packets in the live capture", 60)
            assert not is_let_go()
            bench.go_to(bench.own)
            wait_for(is_let_go, "no use of the disk by recorder and live capture", 60)
            recording.wait_until_complete()
        last = bench.sent - 1
        wait_for(lambda: streamed(stream)[-1:] == [last], "all in the live capture", 60)
    finally:
        if live is not None:
            live.kill()
            live.wait()
    said = recording.status()
    assert (said.drops, said.write_errors, said.packets) == (0, 0, bench.sent)
    got = streamed(stream)
    assert got == list(range(got[0], bench.sent))


@pytest.mark.spec("W5", "R5", "R10")
@pytest.mark.timeout(180)
def test_a_capture_from_a_disk_that_is_pulled_meanwhile_has_what_was_read_and_tells_the_rest(
    bench: Bench, tmp_path: Path
) -> None:
    recording, disk, calls = bench.recording, bench.disk, itertools.count()
    bench.go_to(disk.ring)
    since_ns = time.time_ns()
    count = send(recording.namespace, "gen1", (frame(1, number, 1514) for number in range(30_000)))
    recording.wait_until_complete()
    disk.make_safe()

    def report(*_: object) -> None:
        if next(calls) == 1:  # the first packets have been read
            disk.pull()

    request = Request(disk.ring, since_ns, time.time_ns(), tmp_path / "out.pcapng")
    result = extract(request, report, Courtesy(None))
    numbers = [int.from_bytes(each.data[18:26]) for each in read(request.output.read_bytes()).packets]
    assert numbers == sorted(set(numbers))
    assert 0 < len(numbers) < count
    told = next((note for note in result.notes if "damaged on the disk" in note), "")
    assert told, result.notes
    assert f"{count - len(numbers)} packets" in told.replace(",", "")
    bench.go_to(bench.own)
    disk.unmount()


def all_news(ring: Path) -> list[object]:
    with RingReader(ring) as reader:
        return [each for ref in reader.records(0, 1 << 62) if ref.is_news for each in reader.news(ref)]
