"""The recorder without ports: how it gets along with its ring. Everything else needs a kernel: tests/host."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from allegro.capture import config, status
from allegro.capture.config import RecorderConfig
from allegro.capture.recorder import dispatcher, loop, ring_keeper
from allegro.capture.recorder.loop import Recorder
from allegro.capture.recorder.ring_keeper import RingKeeper
from allegro.capture.ring import recovery
from allegro.capture.ring import writer as ring_writer
from allegro.capture.ring.news import ClockStepped, LinkDown, RingClosed, RingOpened
from allegro.capture.ring.reader import RingReader
from allegro.capture.ring.stock import RingBusyError, RingUnavailable, SegmentStock
from allegro.capture.ring.summaries import SummaryFile
from allegro.capture.ring.writer import RingWriter
from allegro.capture.status import RecorderStatus
from allegro.system.boottime import Reading, read_clocks
from tests.harness.waiting import wait_for
from tests.unit.capture.ring.writing import SMALLEST

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[RecorderConfig]:
    """Of a recorder that finds no port; afterwards the signals are as they were."""
    handlers = [signal.getsignal(number) for number in SIGNALS]
    made = RecorderConfig(tmp_path / "ring", SMALLEST, tmp_path / "status.json", port_pattern="no such port")
    config.dump(made, tmp_path / "recorder.json")
    yield made
    signal.set_wakeup_fd(-1)
    for number, handler in zip(SIGNALS, handlers, strict=True):
        signal.signal(number, handler)


def told(settings: RecorderConfig) -> RecorderStatus:
    try:
        return status.from_json(settings.status_file.read_bytes())
    except FileNotFoundError:
        return RecorderStatus()


def test_it_ends_with_an_error_when_a_part_of_it_has_died(
    settings: RecorderConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(RingWriter, "_upkeep", lambda self: None)
    assert Recorder(tmp_path / "recorder.json").run() == 1
    assert "has to start anew" in caplog.text


def test_a_size_that_is_refused_while_the_ring_opens_leaves_the_ring_as_it_is(
    settings: RecorderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = threading.Event()
    create = SegmentStock._create_segment

    def create_later(stock: SegmentStock) -> None:
        opening.wait(20)
        create(stock)

    def refuse(writer: RingWriter, size: int) -> None:
        if size != SMALLEST:
            raise RingUnavailable("There is no room for that.")

    seen: list[RecorderStatus] = []

    def operate() -> None:
        try:
            wait_for(lambda: recorder._ring.opening(), "the start", 20, 0.01)
            config.dump(replace(settings, ring_size=4 * SMALLEST), tmp_path / "recorder.json")
            recorder._on_signal(signal.SIGHUP, None)
            wait_for(lambda: not recorder._reload and recorder._config.ring_size > SMALLEST, "SIGHUP", 20)
            opening.set()
            wait_for(lambda: told(settings).state == status.RECORDING, "a ring", 20)
            seen.append(told(settings))
        finally:
            opening.set()
            recorder._on_signal(signal.SIGTERM, None)

    monkeypatch.setattr(SegmentStock, "_create_segment", create_later)
    monkeypatch.setattr(RingWriter, "resize", refuse)
    recorder = Recorder(tmp_path / "recorder.json")
    operator = threading.Thread(target=operate)
    operator.start()
    assert recorder.run() == 0
    operator.join()
    (report,) = seen
    assert "not taken over: There is no room for that." in report.message
    assert "being opened" not in report.message
    assert report.ring is not None
    assert report.ring.target == SMALLEST


def operated(recorder: Recorder, operate: Callable[[], None]) -> None:
    """Runs the recorder until `operate` has returned."""

    def work() -> None:
        try:
            operate()
        finally:
            recorder._on_signal(signal.SIGTERM, None)

    operator = threading.Thread(target=work)
    operator.start()
    assert recorder.run() == 0
    operator.join()


@pytest.mark.spec("R5", "R10")
def test_a_ring_that_cannot_be_opened_for_an_unforeseen_reason_is_told_and_tried_again(
    settings: RecorderConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recover = recovery.recover
    reports: list[RecorderStatus] = []
    monkeypatch.setattr(ring_keeper, "RETRY_S", 0.5)

    def odd(_: Path) -> object:
        raise ValueError("an odd file")

    monkeypatch.setattr(recovery, "recover", odd)

    def operate() -> None:
        wait_for(lambda: told(settings).state == status.NO_RING, "no ring", 20)
        reports.append(told(settings))
        assert told(settings).ring_directory == str(settings.ring_directory)
        monkeypatch.setattr(recovery, "recover", recover)
        wait_for(lambda: told(settings).state == status.RECORDING, "a ring", 20)

    operated(Recorder(tmp_path / "recorder.json"), operate)
    assert "cannot be opened (ValueError: an odd file)" in reports[0].message
    assert "Traceback" in caplog.text
    with RingReader(settings.ring_directory) as reader:
        (opened,) = (
            item
            for record in reader.records(0, 1 << 62)
            for item in reader.news(record)
            if isinstance(item, RingOpened)
        )
    assert "an odd file" in opened.reason


@pytest.mark.spec("R5", "R10")
@pytest.mark.parametrize("failing", [False, True])
def test_a_ring_in_which_no_room_is_made_is_told_and_given_up_if_that_is_a_failure(
    settings: RecorderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    """One that only waits for its disk is waited for."""
    monkeypatch.setattr(dispatcher, "BROKEN_AFTER", 0.5)
    monkeypatch.setattr(ring_keeper, "RETRY_S", 0.5)
    monkeypatch.setattr(dispatcher, "RETRY_S", 0.5)
    monkeypatch.setattr(loop, "RETRY_S", 0.5)
    reports: list[RecorderStatus] = []
    opened: list[RingOpened] = []

    def operate() -> None:
        wait_for(lambda: told(settings).state == status.RECORDING, "a ring", 20)
        with monkeypatch.context() as broken:
            broken.setattr(RingWriter, "place", no_place)
            if failing:
                broken.setattr(SegmentStock, "adjust", no_adjusting)
            recorder._outbox.add(LinkDown(*read_clocks(), "port1"))
            wait_for(lambda: "no room is made" in told(settings).message, "word of it", 20)
            reports.append(told(settings))
            if failing:
                wait_for(lambda: told(settings).state == status.NO_RING, "no ring", 20)
        wait_for(lambda: told(settings).state == status.RECORDING, "a ring", 20)
        wait_for(lambda: not told(settings).message, "no word of it", 20)

    def no_place(*_: object) -> object:
        raise RingBusyError

    def no_adjusting(*_: object) -> None:
        raise OSError(5, "Input/output error")

    recorder = Recorder(tmp_path / "recorder.json")
    operated(recorder, operate)
    with RingReader(settings.ring_directory) as reader:
        for record in reader.records(0, 1 << 62):
            opened += [item for item in reader.news(record) if isinstance(item, RingOpened)]
    assert len(opened) == (2 if failing else 1)
    assert "no room is made" in reports[0].message


def completed(settings: RecorderConfig, boot_ns: int) -> bool:
    return told(settings).complete_through_boot_ns > boot_ns


@pytest.mark.spec("R9", "R10")
def test_a_step_of_the_clock_is_news_with_moment_and_size(
    settings: RecorderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock goes back by 2 s, and later ahead by an hour; nobody sets the other one."""
    added_ns = 0

    def clocks() -> Reading:
        now = read_clocks()
        return Reading(now.boot_ns, now.wall_ns + added_ns)

    def operate() -> None:
        nonlocal added_ns
        try:
            for step_s in (-2, 3600):
                wait_for(lambda: told(settings).state == status.RECORDING, "a ring", 20)
                later_ns = told(settings).time_boot_ns + 300_000_000
                added_ns += step_s * 1_000_000_000
                wait_for(partial(completed, settings, later_ns), "completeness", 20)
                assert abs(told(settings).complete_through_ns - clocks().wall_ns) < 20_000_000_000
        finally:
            recorder._on_signal(signal.SIGTERM, None)

    monkeypatch.setattr(loop, "read_clocks", clocks)
    recorder = Recorder(tmp_path / "recorder.json")
    operator = threading.Thread(target=operate)
    operator.start()
    assert recorder.run() == 0
    operator.join()
    with RingReader(settings.ring_directory) as reader:
        found = [item for record in reader.records(0, 1 << 62) for item in reader.news(record)]
        (run,) = reader.runs()
    steps = [item for item in found if isinstance(item, ClockStepped)]
    assert [round(step.size_ns / 1e9, 1) for step in steps] == [-2.0, 3600.0]
    assert steps[0].boot_ns < steps[1].boot_ns
    assert all(0 < step.within_ns < 20_000_000_000 for step in steps)
    assert [type(item) for item in (found[0], found[-1])] == [RingOpened, RingClosed]
    assert run.boot_id == told(settings).boot_id
    assert run.start_boot_ns < steps[0].boot_ns < steps[1].boot_ns <= run.alive_boot_ns


@pytest.mark.spec("R5", "R9", "R10")
@pytest.mark.parametrize("moment", ["when it begins to end", "when all is written"])
def test_a_clock_that_is_set_while_the_recorder_ends_makes_no_false_end(
    settings: RecorderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Its run has ended in order, nothing is under way to a ring that is closed, and the step is told if it
    was seen in time."""
    added_ns = 0
    offsets: list[int] = []

    def clocks() -> Reading:
        now = read_clocks()
        return Reading(now.boot_ns, now.wall_ns + added_ns)

    def stepping(work: Callable[..., None], *, first: bool) -> Callable[..., None]:
        def done(*arguments: object) -> None:
            nonlocal added_ns
            if not first:
                work(*arguments)
            added_ns += 2_000_000_000
            offsets.append(clocks().wall_ns - clocks().boot_ns)
            if first:
                work(*arguments)

        return done

    monkeypatch.setattr(loop, "read_clocks", clocks)
    recorder = Recorder(tmp_path / "recorder.json")
    early = moment == "when it begins to end"
    place, name = (recorder, "_shut_down") if early else (recorder._dispatcher, "settle")
    monkeypatch.setattr(place, name, stepping(getattr(place, name), first=early))

    def operate() -> None:
        wait_for(lambda: told(settings).state == status.RECORDING, "a ring", 20)

    operated(recorder, operate)
    assert not recorder._dispatcher.under_way()
    with RingReader(settings.ring_directory) as reader:
        found = [item for record in reader.records(0, 1 << 62) for item in reader.news(record)]
        (run,) = reader.runs()
    assert run.ended
    assert isinstance(found[-1], RingClosed)
    steps = [item for item in found if isinstance(item, ClockStepped)]
    assert [round(step.size_ns / 1e9) for step in steps] == ([2] if early else [])
    if early:
        assert abs(run.alive_ns - run.alive_boot_ns - offsets[0]) < 500_000_000


@pytest.mark.spec("R5")
def test_a_ring_that_is_given_up_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the recorder counts, and tells, what passes meanwhile; the next ring is opened when it is closed."""
    goes_on = threading.Event()
    close = RingWriter.close

    def hangs(writer: RingWriter) -> None:
        goes_on.wait(60)
        close(writer)

    options = RecorderConfig(tmp_path / "ring", SMALLEST, tmp_path / "status.json")
    keeper = RingKeeper(read_clocks(), bytes(16))

    def opened() -> RingWriter | None:
        return keeper.look(options, time.monotonic())

    try:
        keeper.use(wait_for(opened, "a ring", 20), read_clocks())
        monkeypatch.setattr(RingWriter, "close", hangs)
        keeper.give_up("The disk stands still.", read_clocks(), 0.0)
        assert keeper.writer is None
        assert not goes_on.is_set()
        assert opened() is None
        goes_on.set()
        keeper.use(wait_for(opened, "a ring", 20), read_clocks())
    finally:
        goes_on.set()
        keeper.end()


@pytest.mark.spec("R5", "R10")
@pytest.mark.parametrize("part", ["_write_runs", "_list_segments"])
def test_what_fails_beside_a_disk_that_is_behind_is_no_reason_to_give_the_ring_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Only what keeps segments from getting free for new records is one."""
    monkeypatch.setattr(ring_writer, "_RUNS_INTERVAL", 0.0)
    monkeypatch.setattr(ring_writer, "_LIST_INTERVAL", 0.0)
    monkeypatch.setattr(SummaryFile, "worn", lambda *_: True)
    monkeypatch.setattr(dispatcher, "BROKEN_AFTER", 0.0)
    writer = RingWriter(tmp_path, SMALLEST, 1)

    def refuses(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    trouble = dispatcher.Trouble()
    trouble.busy(writer.held_up)
    with monkeypatch.context() as broken:
        broken.setattr(writer, part, refuses)
        wait_for(lambda: writer.failures > 1, "failures", 20)
        assert trouble.broken(writer.held_up) == ""
        broken.setattr(writer, "_sync", refuses)
        wait_for(lambda: writer.held_up, "failures that matter", 20)
        assert "no room is made" in trouble.broken(writer.held_up)
    writer.close()


@pytest.mark.spec("R4", "T3")
def test_blocks_of_quiet_links_are_waited_for_a_moment_but_not_when_a_link_gets_busy(
    settings: RecorderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path / "recorder.json")
    pauses: list[float] = []

    class Events:
        def poll(self, milliseconds: float) -> list[tuple[int, int]]:
            pauses.append(milliseconds)
            return []

    class Port:
        def __init__(self, *, piled_up: bool) -> None:
            self.piled_up = lambda: piled_up

    def gathered(until_status: float, *, busy: bool) -> list[float]:
        pauses.clear()
        ports = (Port(piled_up=False), Port(piled_up=busy))
        with monkeypatch.context() as patch:
            patch.setattr(recorder, "_events", Events())
            patch.setattr(recorder._ports, "all", lambda: ports)
            recorder._gather(until_status)
        return [round(pause, 3) for pause in pauses]

    assert gathered(1.0, busy=False) == [40, 40]
    assert gathered(1.0, busy=True) == [40]
    assert gathered(0.05, busy=False) == [40, 10]
    assert gathered(0.04, busy=False) == [40]
    assert gathered(-1.0, busy=False) == [2]
    operated(recorder, lambda: None)


@pytest.mark.spec("R5", "W5")
def test_going_to_another_disk_never_leaves_the_recorder_without_a_ring(
    settings: RecorderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it takes to open the ring there."""
    other, opens, recover, write = tmp_path / "other", threading.Event(), recovery.recover, status.write
    said: list[tuple[str, str, str]] = []

    def slow(directory: Path) -> recovery.RecoveredRing:
        assert directory != other or opens.wait(60)
        return recover(directory)

    def note(report: RecorderStatus, path: Path) -> None:
        said.append((report.state, report.ring_directory, report.ring_opening))
        write(report, path)

    monkeypatch.setattr(recovery, "recover", slow)
    monkeypatch.setattr(status, "write", note)

    def operate() -> None:
        try:
            wait_for(lambda: told(settings).state == status.RECORDING, "a ring", 20)
            said.clear()
            config.dump(replace(settings, ring_directory=other), tmp_path / "recorder.json")
            recorder._on_signal(signal.SIGHUP, None)
            wait_for(lambda: told(settings).ring_opening == str(other), "the other ring being opened", 20)
            asked_ns = told(settings).time_boot_ns
            wait_for(partial(completed, settings, asked_ns), "recording as before", 20)
            opens.set()
            wait_for(lambda: told(settings).ring_directory == str(other), "the other ring", 20)
        finally:
            opens.set()

    recorder = Recorder(tmp_path / "recorder.json")
    operated(recorder, operate)
    assert {state for state, _, _ in said} == {status.RECORDING}
    assert {directory for _, directory, _ in said} == {str(settings.ring_directory), str(other)}
    assert said[-1] == (status.RECORDING, str(other), "")


@pytest.mark.spec("R5", "W5")
def test_refused_writes_count_for_the_disk_on_which_the_ring_lies() -> None:
    trouble = dispatcher.Trouble()
    for place, refused, counts in (("disk", 2, (2, 2)), ("disk", 1, (3, 3)), ("own", 0, (3, 0))):
        trouble.at(Path(place))
        for _ in range(refused):
            trouble.refused(OSError(5, "Input/output error"))
        assert (trouble.errors, trouble.errors_here) == counts
