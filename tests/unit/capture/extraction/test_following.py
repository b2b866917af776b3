from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from allegro.capture import status
from allegro.capture.extraction import following
from allegro.capture.extraction.following import Following
from allegro.capture.extraction.live_request import LiveRequest, parse_live_request
from allegro.capture.extraction.packet_stream import MOST_NOTES, PacketStream
from allegro.capture.extraction.reading import ReadAhead
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.ring import segments
from allegro.capture.ring.losses import Losses
from allegro.capture.ring.reader import ORDER_SLACK_NS, RingReader
from allegro.capture.ring.record import Times
from allegro.errors import InvalidInput
from allegro.filters.translate import translated
from allegro.system import boottime
from allegro.words import exact_moment
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RING_ID, Ring

BOOT_ID = boottime.boot_id()
MS = 1_000_000
PAST_NS = 60 * NS
"""So far back that the beginning of a bench is within it on any machine."""


class Bench:
    """A ring that a test goes on writing, and the stream of a live capture of it."""

    def __init__(self, folder: Path) -> None:
        self.ring = Ring(folder / "ring")
        self.status_file = folder / "status.json"
        now = boottime.read_clocks()
        self.offset_ns = now.wall_ns - now.boot_ns
        self.start_ns = now.wall_ns - 1500 * MS
        run = segments.Run(self.ring.run, now.wall_ns - NS, now.wall_ns, ("port1", "port2"), BOOT_ID)
        run = run._replace(start_boot_ns=now.boot_ns - 1000 * NS, alive_boot_ns=now.boot_ns)
        segments.write_runs(self.ring.directory, [run], sync=False)
        self._read, self._write = os.pipe()
        self._image = bytearray()
        self._reader = RingReader(self.ring.directory)
        self._ahead: list[ReadAhead] = []
        self._pump = threading.Thread(target=self._collect, daemon=True)
        self._pump.start()

    def follow(self, **options: Any) -> Following:
        request = LiveRequest(self.ring.directory, self.status_file, ports=("port1", "port2"), **options)
        stream = PacketStream(self._write, request.most_bytes)
        made = Following(request, self._reader, stream, Courtesy(None))
        self._ahead.append(made.ahead)
        made.begin()
        return made

    def add(self, port: int, numbers: dict[int, int], *, losses: Losses | None = None) -> None:
        """A record with packets of these numbers, so many ms after the beginning."""
        frames = [frame(self.start_ns + at * MS, number) for number, at in numbers.items()]
        first, last = frames[0].time_ns - self.offset_ns, frames[-1].time_ns - self.offset_ns
        times = Times(bytes.fromhex(BOOT_ID), first, last, self.offset_ns, 0)
        self.ring.add(port, frames, times=times, losses=losses)

    def complete(self, at: int, *, pid: int | None = None) -> None:
        """The recorder (this process, or another) says that the ring is complete up to so many ms after the
        beginning."""
        boot_ns = self.start_ns + at * MS + ORDER_SLACK_NS - self.offset_ns
        said = status.RecorderStatus(
            pid=pid or os.getpid(),
            run_id=self.ring.run,
            boot_id=BOOT_ID,
            complete_through_boot_ns=boot_ns,
            ring=status.RingStatus(),
            ring_directory=str(self.ring.directory),
        )
        status.write(said, self.status_file)

    def end(self) -> pcapng_reader.File:
        """What was streamed."""
        os.close(self._write)
        self._pump.join()
        os.close(self._read)
        for ahead in self._ahead:
            ahead.__exit__(None, None, None)
        self._reader.close()
        return pcapng_reader.read(bytes(self._image))

    def _collect(self) -> None:
        while data := os.read(self._read, 1 << 16):
            self._image += data


def frame(time_ns: int, number: int) -> Frame:
    return Frame(time_ns, b"\x02" * 6 + b"\x04" * 6 + b"\x88\xb5" + number.to_bytes(4, "big") + bytes(82))


def numbers(file: pcapng_reader.File) -> list[int]:
    return [int.from_bytes(packet.data[14:18]) for packet in file.packets]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(following, "PAUSE_S", 0.0)
    return Bench(tmp_path)


@pytest.mark.spec("R8")
def test_packets_of_all_ports_are_streamed_once_in_order_as_soon_as_nothing_older_can_come(
    bench: Bench,
) -> None:
    bench.add(1, {1: 0, 3: 20})
    live = bench.follow(past_ns=PAST_NS)
    bench.complete(10)
    live.turn()
    assert live_packets(live) == 1
    bench.add(2, {2: 12, 4: 30})
    live.turn()
    assert live_packets(live) == 1, "the ring was not complete yet"
    bench.complete(25)
    live.turn()
    assert live_packets(live) == 3
    bench.add(1, {5: 40, 6: 50})
    bench.complete(1000)
    live.turn()
    live.turn()
    live.finish()
    file = bench.end()
    assert numbers(file) == [1, 2, 3, 4, 5, 6]
    assert [packet.interface for packet in file.packets] == [0, 1, 0, 1, 0, 0]
    assert file.names == ["port1", "port2"]
    assert [file.counter(port, 8) for port in (0, 1)] == [4, 2]
    assert not any(packet.comment for packet in file.packets)
    assert "note:" not in file.statistics[0][1][0].decode()


def live_packets(live: Following) -> int:
    return live._stream.packets


@pytest.mark.spec("R8")
def test_it_goes_on_from_segment_to_segment(bench: Bench) -> None:
    live = bench.follow(past_ns=PAST_NS)
    for number in range(40):
        if number % 7 == 0:
            bench.ring.finish()  # all indexes: what is behind in the last one is found by its records
            bench.ring.new_segment()
        bench.add(1 + number % 2, {number: number})
        bench.complete(number)
        live.turn()
    bench.complete(1000)
    live.turn()
    live.finish()
    assert numbers(bench.end()) == list(range(40))


@pytest.mark.spec("R8", "F7")
def test_only_what_matches_the_filter_and_the_others_are_counted(bench: Bench) -> None:
    text, program = translated("interface == port2")
    live = bench.follow(past_ns=PAST_NS, filter=text, program=program)
    bench.add(1, {1: 0, 2: 1})
    bench.add(2, {3: 2})
    bench.complete(100)
    live.turn()
    live.finish()
    file = bench.end()
    assert numbers(file) == [3]
    assert f"filter: {text}" in file.comment
    assert [file.counter(port, 6) for port in (0, 1)] == [0, 1]
    assert [file.counter(port, 4) for port in (0, 1)] == [2, 1]


@pytest.mark.spec("R8", "R13")
def test_what_cannot_match_is_not_read(bench: Bench) -> None:
    text, program = translated("length == 100 and mac == 02:02:02:02:02:02 and vlan == 7")
    live = bench.follow(past_ns=PAST_NS, filter=text, program=program)
    bench.add(1, {1: 0, 2: 1})
    bench.add(2, {3: 2, 4: 3})
    bench.ring.summarize()
    bench.ring.damage(0, 256, b"\xff" * 48)  # the first packet's header: whoever reads it counts no packets
    bench.complete(100)
    live.turn()
    live.finish()
    file = bench.end()
    assert numbers(file) == []
    assert [file.counter(port, 4) for port in (0, 1)] == [2, 2]


@pytest.mark.spec("R8", "R5")
def test_a_loss_is_told_with_the_next_packet_and_at_the_end(bench: Bench) -> None:
    live = bench.follow(past_ns=PAST_NS)
    bench.add(1, {1: 0})
    bench.complete(5)
    live.turn()
    lost_ns = bench.start_ns + 10 * MS - bench.offset_ns
    lost = Losses(drops=7, from_boot_ns=lost_ns, until_boot_ns=lost_ns + 5 * MS)
    bench.add(1, {2: 20}, losses=lost)
    bench.complete(30)
    live.turn()
    bench.add(2, {3: 40})
    bench.complete(100)
    live.turn()
    live.turn()
    live.finish()
    file = bench.end()
    assert numbers(file) == [1, 2, 3]
    assert "7 packets were lost on port1" in "".join(packet.comment for packet in file.packets)
    assert sum(bool(packet.comment) for packet in file.packets) == 1
    assert "7 packets were lost on port1" in file.statistics[0][1][0].decode()
    assert file.counter(0, 7) == 7


@pytest.mark.spec("R8", "R5")
def test_what_was_overwritten_before_it_could_be_read_is_told(bench: Bench) -> None:
    live = bench.follow(past_ns=PAST_NS)
    bench.add(1, {1: 0})
    bench.complete(5)
    live.turn()
    bench.ring.new_segment()
    bench.add(1, {2: 10})
    bench.add(1, {3: 20})
    bench.ring.new_segment()
    bench.add(1, {4: 30})
    for path in segments.list_segments(bench.ring.directory)[:2]:
        path.unlink()  # as the recorder does, by renaming
    bench.complete(100)
    live.turn()
    live.turn()
    live.finish()
    file = bench.end()
    assert numbers(file) == [1, 4]
    assert "2 pieces of the recording" in file.statistics[0][1][0].decode()


@pytest.mark.spec("R8")
def test_it_ends_with_its_time_and_says_what_it_holds(bench: Bench) -> None:
    live = bench.follow(past_ns=PAST_NS, length_ns=100 * NS)
    bench.add(1, {1: 0, 2: 40_000})
    bench.add(1, {3: 500_000})
    bench.complete(10)
    live.turn()
    assert not live.ended()
    bench.complete(600_000)
    live.turn()
    assert live.ended()
    live.finish()
    assert numbers(bench.end()) == [1, 2]


@pytest.mark.spec("R8", "W4")
def test_a_window_of_the_past_is_streamed_at_once(bench: Bench) -> None:
    bench.add(1, {1: 0, 2: 40, 3: 60, 4: 100})
    bench.add(1, {5: 500_000})
    bench.complete(600_000)
    window = {"start_ns": bench.start_ns + 30 * MS, "end_ns": bench.start_ns + 99 * MS}
    live = bench.follow(**window)
    live.turn()
    assert live.ended()
    live.finish()
    assert numbers(bench.end()) == [2, 3]


PAST_MS = -40_000
"""So far back that the end of a window there is long past; in ms after the beginning of a bench."""


def of_long_ago(bench: Bench) -> dict[str, int]:
    """A window of four seconds in which three packets came in."""
    bench.add(1, {number: PAST_MS + 20 * number for number in (1, 2, 3)})
    return {
        "start_ns": bench.start_ns + (PAST_MS - 1000) * MS,
        "end_ns": bench.start_ns + (PAST_MS + 3000) * MS,
    }


@pytest.mark.spec("R8", "R10")
def test_a_window_of_long_ago_waits_for_a_recorder_that_has_just_been_started_again(bench: Bench) -> None:
    live = bench.follow(**of_long_ago(bench))
    live.turn()
    assert not live.ended(), "the recorder has not said yet how far its ring is complete"
    bench.complete(0)
    live.turn()
    assert live.ended()
    live.finish()
    assert numbers(bench.end()) == [1, 2, 3]


@pytest.mark.spec("R8", "R10")
def test_of_a_window_of_long_ago_to_which_the_recorder_says_nothing_that_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = bench.follow(**of_long_ago(bench))
    monkeypatch.setattr(live._held, "now_ns", lambda: bench.start_ns + 30 * NS)
    live.turn()
    assert live.ended()
    live.finish()
    comment = bench.end().statistics[0][1][0].decode()
    begin = exact_moment(live._window.start_ns)
    assert f"The recorder did not say in time that what came in after {begin} is on the disk" in comment
    assert "nothing was received" not in comment


class Clock:
    """Says that it is so long after the end of a live capture."""

    def __init__(self, live: Following, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        self.seconds = seconds
        end_ns = live._window.end_ns
        monkeypatch.setattr(live._held, "now_ns", lambda: end_ns + int(self.seconds * NS))


@pytest.mark.spec("R8")
def test_a_slow_reader_gets_all_that_the_recorder_has_up_to_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = bench.follow(past_ns=PAST_NS, length_ns=NS)
    bench.add(1, {1: 0, 2: 2000})
    bench.complete(10)
    clock = Clock(live, monkeypatch, -0.5)
    # What the first turn streams is read a minute later.
    monkeypatch.setattr(live._stream, "wait", lambda _: setattr(clock, "seconds", 60))
    live.turn()
    assert not live.ended()
    bench.complete(5000)
    live.turn()
    assert live.ended()
    live.finish()
    assert numbers(bench.end()) == [1, 2]


@pytest.mark.spec("R8")
def test_the_end_is_not_waited_for_where_the_recorder_does_not_come_so_far(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST_RECORDS", 2)
    live = bench.follow(past_ns=PAST_NS, length_ns=NS)
    for number in range(5):
        bench.add(1, {number: number})
    bench.complete(100)
    Clock(live, monkeypatch, 60)
    for _ in range(2):
        live.turn()
        assert not live.ended(), "there is more to be read"
    live.turn()
    assert live.ended()
    live.finish()
    assert numbers(bench.end()) == list(range(5))


@pytest.mark.spec("R8", "R10")
@pytest.mark.parametrize(
    ("pid", "sentence"),
    [
        (0, "The disk was behind: what came in after"),
        (1 << 30, "The recorder was not running from"),
    ],
)
def test_what_the_recorder_did_not_come_to_is_told_at_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, pid: int, sentence: str
) -> None:
    """It hangs (0: its process is ours), or it is gone."""
    live = bench.follow(past_ns=PAST_NS, length_ns=30 * NS)
    bench.add(1, {1: 0})
    bench.complete(2000, pid=pid)
    Clock(live, monkeypatch, 60)
    live.turn()
    assert live.ended()
    live.finish()
    comment = bench.end().statistics[0][1][0].decode()
    assert f"note: {sentence}" in comment
    assert comment.count("note:") == 1


@pytest.mark.spec("R8", "R10")
def test_it_goes_on_in_the_ring_that_the_recorder_uses(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was still in the other one comes first, and nothing comes twice when the recorder goes back."""
    monkeypatch.setattr(following, "CLOSING_S", 1e-9)
    disk, memory = bench.ring, another_ring(tmp_path / "memory", bench)
    live = bench.follow(past_ns=PAST_NS)
    for number, ring in enumerate((disk, memory, disk, memory)):
        bench.add(1, {10 * number: 100 * number})
        bench.complete(100 * number + 10)
        live.turn()
        bench.add(1, {10 * number + 1: 100 * number + 20})
        bench.ring = memory if ring is disk else disk
        bench.complete(100 * number + 50)
        for _ in range(3):
            live.turn()
    live.finish()
    assert numbers(bench.end()) == [0, 1, 10, 11, 20, 21, 30, 31]


def another_ring(directory: Path, bench: Bench) -> Ring:
    """In place of one that may lie there, of the same run of the recorder."""
    made = Ring(directory, run=bench.ring.run)
    segments.write_identity(directory, segments.RingIdentity(RING_ID, time.time_ns()))
    return made


@pytest.mark.spec("R8", "R10")
def test_all_that_is_in_a_ring_comes_before_what_is_in_the_next_one(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to a slow reader, who is far behind when the recorder goes there."""
    monkeypatch.setattr(following, "CLOSING_S", 1e-9)
    monkeypatch.setattr(following, "MOST_RECORDS", 2)
    live = bench.follow(past_ns=PAST_NS)
    for number in range(9):
        bench.add(1, {number: number})
    bench.complete(20)
    live.turn()
    bench.ring = another_ring(tmp_path / "memory", bench)
    bench.add(1, {9: 100})
    bench.complete(200)
    for _ in range(8):
        live.turn()
    live.finish()
    assert numbers(bench.end()) == list(range(10))


@pytest.mark.spec("R8", "R10")
def test_a_ring_that_was_begun_anew_meanwhile_is_followed_from_its_beginning(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one in memory ten minutes after the return of the disk, when that fails once more."""
    monkeypatch.setattr(following, "CLOSING_S", 1e-9)
    disk, memory = bench.ring, another_ring(tmp_path / "memory", bench)
    live = bench.follow(past_ns=PAST_NS)

    def record(number: int, ring: Ring, packets: int) -> None:
        bench.ring = ring
        for packet in range(packets):
            bench.add(1, {10 * number + packet: 100 * number + packet})
        bench.complete(100 * number + 50)
        for _ in range(3):
            live.turn()

    for number, ring in enumerate((disk, memory, disk)):
        record(number, ring, 3)
    shutil.rmtree(memory.directory)
    record(3, another_ring(memory.directory, bench), 2)
    live.finish()
    assert numbers(bench.end()) == [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31]


@pytest.mark.spec("R8")
def test_it_ends_with_its_bytes_at_a_whole_packet(bench: Bench) -> None:
    live = bench.follow(past_ns=PAST_NS, most_bytes=1000)
    bench.add(1, {number: number for number in range(50)})
    bench.complete(100)
    live.turn()
    assert live.ended()
    live.finish()
    file = bench.end()
    assert numbers(file) == list(range(1000 // 132))
    assert file.counter(0, 8) == 1000 // 132


@pytest.mark.spec("R8")
def test_without_packets_there_is_a_sign_of_life(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "SIGN_OF_LIFE_S", 0.0)
    live = bench.follow()
    bench.complete(0)
    live.turn()
    file = bench.end()
    assert file.counter(0, 8) == 0


@pytest.mark.spec("R8")
def test_the_sign_comes_also_while_nothing_matches_of_what_was_recorded_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking through that may take longer than programs between this and the reader wait for a byte."""
    monkeypatch.setattr(following, "MOST_RECORDS", 2)
    text, program = translated("length == 999")
    live = bench.follow(past_ns=PAST_NS, filter=text, program=program)
    for number in range(5):
        bench.add(1, {number: number})
    bench.complete(100)
    written: list[int] = []
    monkeypatch.setattr(
        live._stream, "statistics", lambda _: written.append(live._stream.counts["port1"].rejected)
    )
    monkeypatch.setattr(following, "SIGN_OF_LIFE_S", 0.0)
    live.turn()
    assert written
    live.turn()
    live.turn()
    assert written[-1] == 5
    bench.end()


@pytest.mark.spec("R8", "R10")
def test_what_happens_while_no_packet_comes_is_kept_up_to_a_number_and_counted_beyond(bench: Bench) -> None:
    live = bench.follow(past_ns=PAST_NS)
    for number in range(MOST_NOTES + 30):
        live._stream.note([f"Number {number}."])
    assert len(live._stream._notes) == MOST_NOTES
    bench.add(1, {1: 0, 2: 1})
    bench.complete(100)
    live.turn()
    live.finish()
    first, second = bench.end().packets
    assert len(first.comment.splitlines()) == MOST_NOTES + 1
    assert first.comment.endswith(f"note: Number {MOST_NOTES - 1}.\nnote: 30 more notes do not fit here")
    assert not second.comment


@pytest.mark.spec("R8")
def test_it_notices_that_nobody_reads_any_more(bench: Bench) -> None:
    live = bench.follow()
    time.sleep(0.1)
    reading, writing = os.pipe()
    os.close(reading)
    stream = PacketStream(writing, 0)
    with pytest.raises(BrokenPipeError):
        stream.wait(60)
    os.close(writing)
    live.finish()
    bench.end()


def test_a_request_is_read_as_it_was_written() -> None:
    request = LiveRequest(Path("/r"), Path("/s"), 1, 2, 3, {"a": "b"}, ("port1",), "x", b"\x01\xff")
    assert parse_live_request(request.to_json()) == request
    for wrong in (b"", b"{}", b"[]", request.to_json().replace(b"01ff", b"zz")):
        with pytest.raises(InvalidInput):
            parse_live_request(wrong)
