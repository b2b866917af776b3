"""A disk that dies under the recorder, and comes back: what is kept meanwhile, and what is told of it."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.capture import status
from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract
from allegro.capture.extraction.live_request import LiveRequest
from allegro.capture.extraction.yielding import Courtesy
from allegro.system import boottime
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for
from tests.host.recording import MIB, Recording, add_port
from tests.host.test_truth_disk import Disk
from tests.host.truth import NS, Bench
from tests.unit.capture import pcapng_reader

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN (linux/ext4.h): from then on the file system refuses everything, as without its disk."""
_WITHOUT_JOURNAL = (2).to_bytes(4, sys.byteorder)

# It gives up and tries again sooner than on a device.
IMPATIENT = """
from allegro.capture.recorder import dispatcher, loop, ring_keeper
dispatcher.BROKEN_AFTER = 1.0
loop.RETRY_S = ring_keeper.RETRY_S = 0.5
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """In the place of the ring, beside a tmpfs; mounted anew it is also seen by programs that have a mount
    namespace of their own."""
    made, memory = Disk(tmp_path / "disk", tmp_path / "ring"), tmp_path / "memory"
    subprocess.run(["mount", "--bind", str(tmp_path), str(tmp_path)], check=True)
    try:
        subprocess.run(["mount", "--make-shared", str(tmp_path)], check=True)
        with made.image.open("wb") as file:
            file.truncate(64 * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", str(made.image)], check=True)
        for place in (made.place, memory):
            place.mkdir()
        # While the disk is away, the recorder must not find another one in its place.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "away", str(made.place)], check=True)
        made.mount()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "ring", str(memory)], check=True)
        yield made
    finally:
        subprocess.run(["umount", "--lazy", "--recursive", str(tmp_path)], check=True)


def die(disk: Disk) -> None:
    descriptor = os.open(disk.place, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, _WITHOUT_JOURNAL)
    finally:
        os.close(descriptor)


def cut(recording: Recording, since_boot_ns: int) -> tuple[list[int], Result]:
    """The numbers of our packets since a moment, from the ring that is in force."""
    offset_ns = boottime.read_clocks().wall_ns - boottime.read_clocks().boot_ns
    said = recording.directory / "status.json"
    output = recording.directory / "out.pcapng"
    request = Request(
        status.ring_in_force(said, recording.ring),
        since_boot_ns + offset_ns,
        boottime.now_ns() + offset_ns,
        output,
        status_file=said,
        boot_id=boottime.boot_id(),
        boot_offset_ns=offset_ns,
    )
    result = extract(request, lambda *_: None, Courtesy(None))
    found = numbers(output.read_bytes())
    output.unlink()
    return found, result


def numbers(image: bytes) -> list[int]:
    return [int.from_bytes(packet.data[18:26]) for packet in pcapng_reader.read(image).packets]


def streamed(file: Path) -> list[int]:
    """What has come so far; nothing while the last of it is on its way."""
    try:
        return numbers(file.read_bytes())
    except (AssertionError, struct.error):
        return []


def live_capture(recording: Recording, stream: Path, ring: Path | None = None) -> subprocess.Popen[bytes]:
    """Streams into a file, from a minute ago on."""
    request = LiveRequest(ring or recording.ring, recording.directory / "status.json", past_ns=60 * NS)
    command = [sys.executable, "-m", "allegro.capture.extraction.live_process"]
    with stream.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output)
    assert process.stdin is not None
    process.stdin.write(request.to_json())
    process.stdin.close()
    return process


def complete(recording: Recording) -> int:
    """Waits until all that came in until now can be found; returns this moment."""
    now = boottime.now_ns()
    wait_for(lambda: recording.status().complete_through_boot_ns >= now, "all of it in the ring", 30)
    return now


@pytest.mark.spec("R5", "R8", "R10")
@pytest.mark.timeout(120)
def test_a_disk_that_dies_and_comes_back(disk: Disk, tmp_path: Path, worker_id: str) -> None:
    """A live capture goes on in the ring in memory and back; files and status say what is where."""
    namespace, memory = Namespace(f"memory-{worker_id}"), tmp_path / "memory"
    options = {"memory_directory": memory, "memory_size": 16 * MIB}
    recording = Recording(namespace, tmp_path, 32 * MIB, options, changed=IMPATIENT)
    bench, stream = Bench(recording, tmp_path / "stall"), tmp_path / "live.pcapng"
    add_port(namespace, 1)
    live: subprocess.Popen[bytes] | None = None

    def all_streamed() -> None:
        wait_for(lambda: streamed(stream)[-1:] == [len(bench.sent) - 1], "all in the live capture", 60)

    try:
        recording.start_with_ports("port1")
        bench.send_for(0.5)
        live = live_capture(recording, stream)
        all_streamed()
        before = len(bench.sent)
        died_ns = boottime.now_ns()
        die(disk)
        with bench.sending():
            wait_for(lambda: recording.status().in_memory_since_ns, "a ring in memory", 30)
            in_memory_ns = complete(recording)
        bench.send_for(0.5)
        complete(recording)
        said = recording.status()
        assert (said.state, said.ring_directory) == (status.RECORDING, str(memory))
        assert said.message.startswith("Packets are kept in memory only: ")
        assert any(memory.glob("*.blocks"))
        found, result = cut(recording, in_memory_ns)
        assert result.notes == []
        assert found == [number for number, sent in enumerate(bench.sent) if sent >= in_memory_ns]
        _, result = cut(recording, died_ns - NS)
        assert any("holds nothing that came in before" in note for note in result.notes), result.notes
        assert not any("not running" in note for note in result.notes), result.notes

        whole = (
            disk.copy()
        )  # somebody else's mount namespace may keep the file system that died, and its image
        # As soon as recorder and live capture have closed what they had open on it.
        wait_for(lambda: not subprocess.run(["umount", "-q", str(disk.place)]).returncode, "no use of it", 30)
        whole.replace(disk.image)
        disk.mount()
        with bench.sending():
            wait_for(lambda: recording.status().ring_directory == str(recording.ring), "the disk", 60)
        back_ns = complete(recording)
        bench.send_for(0.5)
        complete(recording)
        assert (recording.status().in_memory_since_ns, recording.status().message) == (0, "")
        found, result = cut(recording, back_ns)
        assert result.notes == []
        assert found == [number for number, sent in enumerate(bench.sent) if sent >= back_ns]
        found, result = cut(recording, in_memory_ns)  # put together of both rings
        assert result.notes == []
        assert found == [number for number, sent in enumerate(bench.sent) if sent >= in_memory_ns]
        all_streamed()
        got = streamed(stream)
        missing = sorted(set(range(len(bench.sent))) - set(got))
        assert got == sorted(set(got))
        assert all(before <= number and bench.sent[number] < in_memory_ns for number in missing)
        assert len(missing) == recording.status().drops
        for path in memory.iterdir():
            path.unlink()
        _, result = cut(recording, in_memory_ns)
        (note,) = (note for note in result.notes if "was not open" in note)
        assert note.endswith("What came in meanwhile was kept in memory only.")
        recording.stop()
    finally:
        if live is not None:
            live.kill()
            live.wait()
        if recording.process is not None and recording.process.poll() is None:
            recording.kill()
        namespace.close()
