"""The recorder is sent to another disk and back, while packets come in and a disk is gone."""

from __future__ import annotations

import fcntl
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
from allegro.capture.ring.news import RingOpened
from allegro.capture.ring.reader import RingReader
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.host.recording import MIB, Recording, add_port, contents, frame, send

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
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", str(self._image)], check=True)
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


@pytest.fixture
def bench(tmp_path: Path, worker_id: str) -> Iterator[Bench]:
    namespace = Namespace(f"ring-disk-{worker_id}")
    recording, disk = Recording(namespace, tmp_path), Disk(tmp_path)
    try:
        add_port(namespace, 1)
        recording.start_with_ports("port1")
        yield Bench(recording, disk)
        recording.stop()
    finally:
        if recording.process is not None and recording.process.poll() is None:
            recording.kill()
        disk.close()
        namespace.close()


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


def all_news(ring: Path) -> list[object]:
    with RingReader(ring) as reader:
        return [each for ref in reader.records(0, 1 << 62) if ref.is_news for each in reader.news(ref)]
