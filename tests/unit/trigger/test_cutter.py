import dataclasses
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from allegro.atomic import rename_without_replacing
from allegro.capture.extraction.shape import NO_WISHES, Format, ShapeWishes
from allegro.capture.ring import segments
from allegro.errors import Conflict, InvalidInput, NotFound, Unavailable
from allegro.filters.translate import translated
from allegro.settings.filter_table import FilterRow
from allegro.storage import capture_files
from allegro.system import boottime
from allegro.trigger import naming, waiting
from allegro.trigger.beep import Signal
from allegro.trigger.cutter import Cutter
from allegro.trigger.extraction import Extractions
from allegro.trigger.job import Job
from allegro.trigger.jobs import JobStore, RefusingJobStore
from allegro.trigger.press import Press
from allegro.trigger.publish import hidden_path
from allegro.trigger.service import Triggers, ring_problem
from allegro.trigger.surroundings import Surroundings
from allegro.trigger.windows import checked_span
from allegro.words import SECOND_NS

FAKE = (sys.executable, str(Path(__file__).with_name("fake_extract.py")))
PRESS_NS = 1795271405 * SECOND_NS  # 2026-11-21 14:30:05 UTC
STEM = "20261121T143005Z_presenter_next"


@dataclasses.dataclass
class Recorder:
    state: str = "recording"
    message: str = ""
    complete_through_ns: int = 2**62
    boot_id: str = ""
    complete_through_boot_ns: int = 0


@dataclasses.dataclass(frozen=True)
class Defaults:
    before_s: int = 60
    after_s: int = 0
    filter: str = ""
    rows: tuple[FilterRow, ...] = ()
    format: Format = "pcapng"
    packet_length: int = 0
    size_limit_mib: int = 0


class Bench:
    """A device in a folder. `restart` is what a power cut and a boot leave of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ring, self.storage = root / "ring", root / "storage"
        self.upload = self.storage / "upload"
        for directory in (self.ring, self.storage, self.upload):
            directory.mkdir()
        self.signals: list[Signal] = []
        self.completed: list[Job] = []
        self.recorder: Recorder | None = Recorder()
        self.export = False
        self.size = 0
        self.defaults = Defaults()
        self.groups: tuple[tuple[str, str], ...] = ()
        self.restart()

    def restart(self) -> None:
        self.store = JobStore(self.root / "allegro.sqlite")
        self.around = Surroundings(
            ring=self.ring,
            recorder_status=self.root / "status.json",
            storage=self.storage,
            upload=self.upload,
            to_upload=lambda: self.export,
            recorder=lambda: self.recorder,
            estimate=lambda start, end: self.size,
            facts=lambda: {"device": "allegro-mm-0001", "system_id": "abc", "firmware": "0.1.0"},
            ports=lambda: ["port1", "port2"],
            groups=lambda: self.groups,
            play=self.signals.append,
            on_complete=self.completed.append,
            command=FAKE,
        )
        self.cutter = Cutter(self.store, self.around)
        self.triggers = Triggers(self.store, self.cutter, self.around, lambda: self.defaults)
        self.running = False

    def start(self) -> None:
        self.cutter.start()
        self.running = True

    def stop(self) -> None:
        if self.running:
            self.cutter.stop()
            self.running = False

    def behave(self, how: str) -> None:
        (self.ring / "behaviour").write_text(how)

    def calls(self) -> list[dict[str, object]]:
        path = self.ring / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def press(
        self,
        before_s: float | None = None,
        after_s: float | None = None,
        filter_text: str | None = None,
        wishes: ShapeWishes = NO_WISHES,
    ) -> Job:
        press = Press(PRESS_NS, "presenter", "next", "Logitech R400")
        return self.triggers.accept(press, before_s, after_s, filter_text, wishes)

    def ended(self, job: Job) -> Job:
        """The job after its end, when all who are told of it were told."""
        wait_for(lambda: self.store.get(job.id).ended and not self.cutter._running)
        return self.store.get(job.id)

    def tries(self, job: Job) -> int:
        return self.store.get(job.id).tries

    def visible(self, directory: Path | None = None) -> list[str]:
        return [info.name for info in capture_files.FileStore(directory or self.storage).all()]

    def hidden(self) -> list[str]:
        return sorted(
            path.name
            for path in (*self.storage.iterdir(), *self.upload.iterdir())
            if path.name.startswith(".")
        )


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.stop()


@pytest.mark.spec("T4", "F5", "F6")
class TestFilter:
    """`filter` and `program` of what the extraction is asked for."""

    def asked(self, bench: Bench, **more: str) -> tuple[str, bytes]:
        if not bench.running:
            bench.start()
        bench.ended(bench.press(**more))  # type: ignore[arg-type]
        call = bench.calls()[-1]
        return str(call["filter"]), bytes.fromhex(str(call["program"]))

    def test_the_extraction_gets_text_and_program(self, bench: Bench) -> None:
        text = "ip == 10.0.0.1 and tcpPort == 80"
        assert self.asked(bench, filter_text="ip==10.0.0.1&&TCPPORT eq 80") == (text, translated(text)[1])
        assert bench.store.get(1).filter == text

    def test_without_one_the_setting_holds_and_empty_is_everything(self, bench: Bench) -> None:
        bench.defaults = Defaults(filter="vlan == 7")
        assert self.asked(bench) == ("vlan == 7", translated("vlan == 7")[1])
        assert self.asked(bench, filter_text=" ") == ("", b"")
        bench.triggers.on_keys([Press(PRESS_NS, "presenter", "next", "Logitech R400")])
        assert bench.store.get(3).filter == "vlan == 7"

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("ip = 10.0.0.1", "Column 4"),
            ("interface == port7", "no interface is called"),
            ('bpf("tcp prt 80")', "prt"),
            ("ip == 10.0.0.1 or " * 300 + "ip == 10.0.0.2", "longer than 4096 characters"),
        ],
    )
    def test_a_mistake_is_answered_at_once_and_nothing_is_begun(
        self, bench: Bench, text: str, words: str
    ) -> None:
        with pytest.raises(InvalidInput, match=words) as caught:
            bench.press(filter_text=text)
        assert caught.value.place == "filter"
        assert bench.store.recent() == []
        assert bench.signals == []

    def test_one_that_this_release_does_not_understand_costs_no_packet(self, bench: Bench) -> None:
        bench.defaults = Defaults(filter="something of a newer release")
        assert self.asked(bench) == ("", b"")
        (note,) = cast(list[str], bench.calls()[-1]["notes"])
        assert note.startswith("The filter something of a newer release could not be used (Column 1: ")
        assert note.endswith("all packets are in this file.")

    def test_a_link_group_goes_on_meaning_what_it_meant_at_the_press(self, bench: Bench) -> None:
        bench.groups = (("Branch", "vlan == 100"), ("Phones", "vlan == 7"))
        bench.press(filter_text="group == phones")
        bench.press(filter_text="port == 80")
        bench.groups = (("Phones", "vlan == 9"),)
        bench.start()
        assert bench.ended(bench.store.get(2)).state == "complete"
        first, second = bench.calls()
        before = (("Branch", "vlan == 100"), ("Phones", "vlan == 7"))
        assert bytes.fromhex(str(first["program"])) == translated("group == phones", None, before)[1]
        named = {"link group Branch": "vlan == 100", "link group Phones": "vlan == 7"}
        assert cast(dict[str, str], first["comment"]).items() >= named.items()
        assert not named.keys() & cast(dict[str, str], second["comment"]).keys()
        with pytest.raises(InvalidInput, match="no link group is called 'branch'"):
            bench.press(filter_text="group == branch")

    def test_a_window_that_is_larger_than_the_disk_may_have_a_small_file(self, bench: Bench) -> None:
        bench.size = 2**60
        bench.start()
        assert bench.ended(bench.press()).state == "failed"
        assert bench.ended(bench.press(filter_text="ip == 10.0.0.1")).state == "complete"


@pytest.mark.spec("T3", "T4", "T5", "T7")
class TestFromPressToFile:
    def test_one_file_with_all_that_is_known(self, bench: Bench) -> None:
        bench.start()
        job = bench.ended(bench.press())
        assert (job.state, job.file, job.directory) == ("complete", f"{STEM}.pcapng", "storage")
        assert (job.packets, job.bytes, job.drops, job.progress) == (7, 700, 1, 1.0)
        assert job.message == "One packet was lost."
        assert bench.visible() == [job.file]
        assert job.size == (bench.storage / job.file).stat().st_size
        assert bench.signals == [Signal.ACCEPTED, Signal.COMPLETE]
        assert bench.completed == [job]
        assert bench.hidden() == []

    def test_what_the_extraction_is_asked_for(self, bench: Bench) -> None:
        bench.start()
        job = bench.ended(bench.press(before_s=90, after_s=2.5))
        (call,) = bench.calls()
        assert call == {
            "ring_directory": str(bench.ring),
            "start_ns": PRESS_NS - 90 * SECOND_NS,
            "end_ns": PRESS_NS + 2_500_000_000,
            "output": str(hidden_path(bench.storage, job.id)),
            "status_file": str(bench.root / "status.json"),
            "comment": {
                "device": "allegro-mm-0001",
                "system_id": "abc",
                "firmware": "0.1.0",
                "trigger": "presenter next (Logitech R400)",
                "press_ns": str(PRESS_NS),
                "before_s": "90",
                "after_s": "2.5",
            },
            "ports": ["port1", "port2"],
            "notes": [],
            "boot_id": "",
            "boot_offset_ns": 0,
            "filter": "",
            "program": "",
            "shape": {"format": "pcapng", "packet_length": 0, "size_limit_mib": 0},
        }

    def test_three_presses_in_one_second_are_three_files_in_order(self, bench: Bench) -> None:
        jobs = [bench.press() for _ in range(3)]
        bench.start()
        ended = [bench.ended(job) for job in jobs]
        assert [job.file for job in ended] == [f"{STEM}.pcapng", f"{STEM}_2.pcapng", f"{STEM}_3.pcapng"]
        assert bench.completed == ended

    def test_with_export_on_the_file_goes_to_the_upload_directory(self, bench: Bench) -> None:
        bench.export = True
        bench.upload.rmdir()
        bench.start()
        job = bench.ended(bench.press())
        assert (job.state, job.directory) == ("complete", "upload")
        assert bench.visible() == []
        assert bench.visible(bench.upload) == [job.file]

    def test_nothing_is_overwritten(self, bench: Bench) -> None:
        (bench.storage / f"{STEM}.pcapng").write_text("mine")
        (bench.upload / f"{STEM}_2.pcapng").write_text("mine too")
        bench.start()
        assert bench.ended(bench.press()).file == f"{STEM}_3.pcapng"
        assert (bench.storage / f"{STEM}.pcapng").read_text() == "mine"

    def test_name_of_an_uploaded_file_is_not_used_again(self, bench: Bench) -> None:
        """Else the second of two presses in a second would meet the first one's file on the server."""
        bench.export = True
        bench.start()
        first = bench.ended(bench.press())
        (bench.upload / first.file).unlink()
        assert bench.ended(bench.press()).file == f"{STEM}_2.pcapng"

    def test_waits_for_the_recorder(self, bench: Bench) -> None:
        bench.recorder = Recorder(complete_through_ns=PRESS_NS - 1)
        bench.start()
        job = bench.press()
        wait_for(lambda: bench.store.get(job.id).state == "waiting")
        assert bench.calls() == []
        bench.recorder.complete_through_ns = PRESS_NS
        assert bench.ended(job).state == "complete"

    @pytest.mark.spec("R9")
    @pytest.mark.parametrize("set_by_s", [-3600, 3600])
    def test_a_clock_that_is_set_after_the_press_holds_up_nothing(self, bench: Bench, set_by_s: int) -> None:
        pressed_ns = time.time_ns()
        boot_ns = boottime.now_ns()
        around = dataclasses.replace(
            bench.around, boot_id="ab" * 16, now_ns=lambda: time.time_ns() + set_by_s * SECOND_NS
        )
        bench.recorder = Recorder(
            complete_through_ns=pressed_ns + set_by_s * SECOND_NS,
            boot_id="ab" * 16,
            complete_through_boot_ns=boot_ns + 2,
        )
        bench.cutter = Cutter(bench.store, around)
        bench.triggers = Triggers(bench.store, bench.cutter, around, Defaults)
        bench.start()
        bench.triggers.on_keys([Press(pressed_ns, "presenter", "next", "R400", boot_ns)])
        assert bench.ended(bench.store.recent()[0]).state == "complete"
        (call,) = bench.calls()
        assert call["notes"] == []
        assert (call["boot_id"], call["boot_offset_ns"]) == ("ab" * 16, pressed_ns - boot_ns)

    def test_a_recorder_that_stays_behind_is_told_in_the_file(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "STALLED_S", 0.3)
        bench.recorder = Recorder(complete_through_ns=PRESS_NS - 1)
        bench.start()
        assert bench.ended(bench.press()).state == "complete"
        (call,) = bench.calls()
        (note,) = cast("list[str]", call["notes"])
        assert "newest packets of this capture may be missing" in note

    def test_a_job_that_waits_for_its_window_holds_up_no_other(self, bench: Bench) -> None:
        bench.start()
        press = Press(time.time_ns(), "api", "manual")
        later = bench.triggers.accept(press, after_s=3600)
        assert bench.ended(bench.press()).state == "complete"
        wait_for(lambda: bench.store.get(later.id).state == "waiting")

    def test_a_job_of_an_earlier_start_waits_until_the_ring_is_where_it_was(self, bench: Bench) -> None:
        """Its packets lie on the disk that was chosen for the ring, which is mounted some time later."""
        awaited = [True]
        bench.around = dataclasses.replace(
            bench.around, boot_id="cd" * 16, ring_is_awaited=lambda: awaited[0]
        )
        bench.cutter = Cutter(bench.store, bench.around)
        press = Press(PRESS_NS, "presenter", "next", "R400", 5)
        span = checked_span(60, 0)
        (earlier,) = bench.store.accept([press], span, now_ns=PRESS_NS, boot_id="ab" * 16)
        assert bench.cutter._step() == pytest.approx(1.0)
        (present,) = bench.store.accept([press], span, now_ns=PRESS_NS, boot_id="cd" * 16)
        assert bench.cutter._step() == 0
        assert (bench.store.get(earlier.id).state, bench.store.get(present.id).state) == (
            "accepted",
            "complete",
        )
        run = segments.Run(1, 1, 1, (), "ef" * 16, 1, 4)
        segments.write_runs(bench.ring, [run], sync=False)
        (here,) = bench.store.accept([press], span, now_ns=PRESS_NS, boot_id=run.boot_id)
        assert bench.cutter._step() == 0
        assert bench.store.get(here.id).state == "complete"  # a disk was not there then, and need not be now
        awaited.clear()
        awaited.append(False)
        assert bench.cutter._step() == 0
        assert bench.store.get(earlier.id).state == "complete"

    def test_window_before_1970_is_cut_off(self, bench: Bench) -> None:
        bench.start()
        bench.ended(bench.triggers.accept(Press(SECOND_NS, "api", "manual")))
        assert bench.calls()[0]["start_ns"] == 0


@pytest.mark.spec("T7")
class TestRefusal:
    def refused(self, bench: Bench) -> str:
        bench.start()
        job = bench.press()
        assert job.state == "refused"
        assert bench.signals == [Signal.REFUSED]
        assert bench.store.get(job.id) == job
        assert bench.calls() == []
        return job.message

    def test_no_ring(self, bench: Bench) -> None:
        bench.recorder = Recorder("no-ring", "The ring does not fit on the data partition.")
        assert self.refused(bench) == "The ring does not fit on the data partition."

    def test_recorder_never_ran(self, bench: Bench) -> None:
        bench.recorder = None
        assert "recorder has not started" in self.refused(bench)

    @pytest.mark.parametrize("recorder", [None, Recorder("starting")])
    def test_recorder_that_restarts_is_no_reason(self, bench: Bench, recorder: Recorder | None) -> None:
        (bench.ring / f"{0:016x}.blocks").touch()
        assert ring_problem(recorder, bench.ring) == ""

    def test_no_list_of_captures(self, bench: Bench) -> None:
        bench.store = RefusingJobStore("There is no data partition.")
        bench.cutter = Cutter(bench.store, bench.around)
        bench.triggers = Triggers(bench.store, bench.cutter, bench.around, Defaults)
        assert self.refused(bench) == "There is no data partition."

    def test_no_storage(self, bench: Bench) -> None:
        bench.upload.rmdir()
        bench.storage.rmdir()
        assert "no storage device" in self.refused(bench)
        bench.storage.mkdir()
        bench.upload.mkdir()

    def test_no_space(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(capture_files.FileStore, "free", lambda self: capture_files.RESERVE - 1)
        assert "not enough free space" in self.refused(bench)

    def test_job_that_cannot_be_stored(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        bench.store.close()
        with pytest.raises(Unavailable):
            bench.press()
        bench.triggers.on_keys([Press(PRESS_NS, "presenter", "next", "Logitech R400")])
        assert bench.signals == [Signal.REFUSED, Signal.REFUSED]
        assert "could not be stored" in caplog.text

    @pytest.mark.parametrize("window", [{"before_s": -1}, {"after_s": 3601}, {"before_s": 86401}])
    def test_impossible_window(self, bench: Bench, window: dict[str, float]) -> None:
        with pytest.raises(InvalidInput):
            bench.press(window.get("before_s"), window.get("after_s"))
        assert bench.store.recent() == []

    def test_window_in_the_future(self, bench: Bench) -> None:
        with pytest.raises(InvalidInput, match="future"):
            bench.triggers.accept(Press(time.time_ns() + 3600 * SECOND_NS, "api", "manual"))
        assert bench.store.recent() == []


class TestFailure:
    @pytest.mark.parametrize(
        ("behaviour", "words"),
        [
            ("error", "The ring is damaged. Make a new one."),
            ("full", "No space left on device"),
            ("die", "ended unexpectedly by signal 9"),
        ],
    )
    def test_is_told_and_leaves_nothing_behind(self, bench: Bench, behaviour: str, words: str) -> None:
        bench.behave(behaviour)
        bench.start()
        job = bench.ended(bench.press())
        assert job.state == "failed"
        assert words in job.message
        assert (job.file, bench.visible(), bench.hidden()) == ("", [], [])
        assert bench.signals == [Signal.ACCEPTED, Signal.REFUSED]
        bench.behave("")
        assert bench.ended(bench.press()).state == "complete"

    def test_too_large_for_the_free_space(self, bench: Bench) -> None:
        bench.size = 2**60
        bench.start()
        job = bench.ended(bench.press())
        assert job.state == "failed"
        assert "PB for the capture" in job.message
        assert bench.calls() == []
        assert bench.signals == [Signal.ACCEPTED, Signal.REFUSED]

    def test_space_that_runs_out_meanwhile(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        bench.behave("hang")
        bench.start()
        job = bench.press()
        wait_for(lambda: bool(bench.calls()))
        monkeypatch.setattr(capture_files.FileStore, "free", lambda self: 1000)
        ended = bench.ended(job)
        assert ended.state == "failed"
        assert "not enough free space" in ended.message
        assert bench.hidden() == []

    @pytest.mark.spec("T10")
    def test_room_is_made_for_the_size_of_the_window_and_asked_for_at_the_press(self, bench: Bench) -> None:
        asked: list[int] = []

        def room(needed: int) -> str:
            asked.append(needed)
            return "The limit for captures is reached." if needed else ""

        bench.size = 12345
        around = dataclasses.replace(bench.around, room=room)
        bench.cutter = Cutter(bench.store, around)
        bench.triggers = Triggers(bench.store, bench.cutter, around, lambda: bench.defaults)
        bench.start()
        assert bench.ended(bench.press()).message == "The limit for captures is reached."
        assert asked == [0, 12345]

    def test_extraction_that_cannot_be_started(self, bench: Bench) -> None:
        around = dataclasses.replace(bench.around, command=("/nonexistent/program",))
        bench.cutter = Cutter(bench.store, around)
        bench.start()
        bench.triggers.accept(Press(PRESS_NS, "presenter", "next"))
        bench.cutter.wake()
        assert "cannot be started" in bench.ended(bench.store.recent()[0]).message

    def test_storage_that_vanished_after_the_press(self, bench: Bench) -> None:
        job = bench.press()
        bench.storage.rename(bench.root / "elsewhere")
        bench.start()
        assert "no storage device" in bench.ended(job).message
        (bench.root / "elsewhere").rename(bench.storage)


class TestCancel:
    def test_running(self, bench: Bench) -> None:
        bench.behave("hang")
        bench.start()
        job = bench.press()
        wait_for(lambda: bench.store.get(job.id).progress == 0.5)
        bench.cutter.cancel(job.id)
        assert bench.ended(job).state == "cancelled"
        assert (bench.visible(), bench.hidden()) == ([], [])
        bench.behave("")
        assert bench.ended(bench.press()).state == "complete"

    def test_waiting(self, bench: Bench) -> None:
        job = bench.triggers.accept(Press(time.time_ns(), "api", "manual"), after_s=3600)
        bench.start()
        assert bench.cutter.cancel(job.id).state == "cancelled"
        assert bench.calls() == []

    def test_when_the_extraction_has_just_ended(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        find_name = naming.unused_name

        def cancelled_meanwhile(store: JobStore, around: Surroundings, job: Job) -> str:
            bench.cutter.cancel(job.id)
            return find_name(store, around, job)

        monkeypatch.setattr("allegro.trigger.making.unused_name", cancelled_meanwhile)
        bench.start()
        assert bench.ended(bench.press()).state == "cancelled"
        assert (bench.visible(), bench.hidden(), bench.completed) == ([], [], [])

    def test_too_late_when_the_file_gets_its_name(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused: list[str] = []

        def rename(source: Path, target: Path) -> None:
            with pytest.raises(Conflict, match="is complete") as caught:
                bench.cutter.cancel(job.id)
            refused.append(caught.value.remedy)
            rename_without_replacing(source, target)

        monkeypatch.setattr("allegro.trigger.publish.rename_without_replacing", rename)
        job = bench.press()
        bench.start()
        assert bench.ended(job).state == "complete"
        assert refused == ["Delete the file."]
        assert bench.visible() == [f"{STEM}.pcapng"]

    def test_what_has_ended_cannot_be_cancelled(self, bench: Bench) -> None:
        bench.start()
        job = bench.ended(bench.press())
        with pytest.raises(Conflict, match="complete"):
            bench.cutter.cancel(job.id)
        with pytest.raises(NotFound):
            bench.cutter.cancel(job.id + 1)


class PowerCut(BaseException):
    """Not an Exception: nothing catches it on its way, as nothing does when the power goes."""


@pytest.mark.spec("T3", "T5")
class TestPowerCut:
    def finished(self, bench: Bench, job: Job) -> Job:
        bench.restart()
        bench.start()
        ended = bench.ended(job)
        bench.stop()
        assert ended.state == "complete"
        assert bench.hidden() == []
        return ended

    def test_after_the_press(self, bench: Bench) -> None:
        job = bench.press()
        ended = self.finished(bench, job)
        assert bench.visible() == [ended.file]

    def test_while_extracting(self, bench: Bench) -> None:
        job = bench.press()
        bench.store.change(job.id, state="cutting", directory="storage", progress=0.5, packets=3, bytes=300)
        (bench.storage / f"..job-{job.id}.pcapng.partial").write_bytes(b"half")
        ended = self.finished(bench, job)
        assert bench.visible() == [ended.file]
        assert len(bench.calls()) == 1
        assert ended.packets == 7

    def test_extracted_but_the_row_does_not_know(self, bench: Bench) -> None:
        job = bench.press()
        bench.store.change(job.id, state="cutting", directory="storage", progress=0.5, packets=3, bytes=300)
        hidden_path(bench.storage, job.id).write_bytes(b"whole")
        ended = self.finished(bench, job)
        assert bench.calls() == []
        assert (bench.storage / ended.file).read_bytes() == b"whole"
        assert (ended.size, ended.packets, ended.bytes) == (5, None, None)
        assert "restarted" in ended.message

    def test_named_in_the_row_but_not_on_disk(self, bench: Bench) -> None:
        job = bench.press()
        bench.store.change(job.id, state="cutting", directory="storage")
        bench.store.change(job.id, file=f"{STEM}.pcapng", packets=7, message="note")
        hidden_path(bench.storage, job.id).write_bytes(b"whole")
        ended = self.finished(bench, job)
        assert bench.calls() == []
        assert (ended.file, ended.packets, ended.message) == (f"{STEM}.pcapng", 7, "note")
        assert bench.visible() == [ended.file]

    def test_the_name_was_taken_meanwhile(self, bench: Bench) -> None:
        job = bench.press()
        bench.store.change(job.id, state="cutting", directory="storage", file=f"{STEM}.pcapng")
        hidden_path(bench.storage, job.id).write_bytes(b"whole")
        (bench.storage / f"{STEM}.pcapng").write_bytes(b"mine")
        ended = self.finished(bench, job)
        assert ended.file == f"{STEM}_2.pcapng"
        assert (bench.storage / f"{STEM}.pcapng").read_bytes() == b"mine"

    @pytest.mark.parametrize("uploaded", [False, True])
    def test_on_disk_but_the_row_does_not_know(self, bench: Bench, uploaded: bool) -> None:
        job = bench.press()
        bench.store.change(job.id, state="cutting", directory="upload", file=f"{STEM}.pcapng", packets=7)
        if not uploaded:
            (bench.upload / f"{STEM}.pcapng").write_bytes(b"whole")
        ended = self.finished(bench, job)
        assert bench.calls() == []
        assert (ended.file, ended.packets) == (f"{STEM}.pcapng", 7)
        assert bench.visible(bench.upload) == ([] if uploaded else [f"{STEM}.pcapng"])

    def test_leftovers_of_ended_jobs_go_and_files_of_others_stay(self, bench: Bench) -> None:
        (bench.storage / ".job-99.pcapng").touch()
        (bench.upload / "..job-98.pcapng.partial").touch()
        (bench.storage / ".keep").touch()
        (bench.storage / "a.partial").touch()
        bench.start()
        assert bench.hidden() == [".keep"]
        assert bench.visible() == ["a.partial"]

    def test_stop_and_start_finishes_what_was_being_cut(self, bench: Bench) -> None:
        bench.behave("hang")
        bench.start()
        job = bench.press()
        wait_for(lambda: bench.store.get(job.id).progress == 0.5)
        bench.stop()
        assert bench.store.get(job.id).state == "cutting"
        assert bench.hidden() == []
        bench.behave("")
        assert bench.visible() == []
        self.finished(bench, job)
        assert len(bench.visible()) == 1

    @pytest.mark.parametrize("step", range(24))
    def test_at_every_system_call_that_changes_something(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, step: int
    ) -> None:
        """Cuts at the n-th change of row or disk, and again after the restart: one file, always."""
        job = bench.press()
        for after_restart in (0, 1):
            with monkeypatch.context() as patch:
                cut_at(patch, step // (1 + after_restart))
                bench.restart()
                try:
                    bench.cutter._recover()
                    while bench.store.unfinished():
                        bench.cutter._step()
                except PowerCut:
                    pass
        ended = self.finished(bench, job)
        assert bench.visible() == [ended.file] == [f"{STEM}.pcapng"]
        assert (bench.storage / ended.file).read_bytes().startswith(b"capture")


def cut_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Raises PowerCut instead of the n-th change; before it, everything happens as usual."""
    left = [step]

    def cutting(original: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **named: object) -> object:
            if left[0] == 0:
                raise PowerCut
            left[0] -= 1
            return original(*arguments, **named)

        return wrapped

    patch.setattr(JobStore, "change", cutting(JobStore.change))
    patch.setattr(JobStore, "prune", cutting(JobStore.prune))
    patch.setattr(Path, "unlink", cutting(Path.unlink))
    patch.setattr("allegro.trigger.publish.rename_without_replacing", cutting(_rename()))
    patch.setattr(os, "fsync", cutting(os.fsync))
    patch.setattr(Extractions, "run", cutting(Extractions.run))


def _rename() -> Callable[..., object]:
    return rename_without_replacing


@pytest.mark.spec("T10")
class TestSideBySide:
    def test_a_short_capture_does_not_wait_for_a_long_one(self, bench: Bench) -> None:
        bench.behave("hang")
        bench.start()
        long = bench.press(before_s=3600)
        wait_for(lambda: len(bench.calls()) == 1)
        bench.behave("")
        short = bench.press()
        wait_for(lambda: bench.store.get(short.id).state == "complete")
        assert bench.store.get(long.id).state == "cutting"
        bench.cutter.cancel(long.id)
        assert bench.ended(long).state == "cancelled"

    def test_a_second_long_one_waits(self, bench: Bench) -> None:
        bench.size = 4 << 30
        bench.behave("hang")
        bench.start()
        first, second = bench.press(), bench.press()
        wait_for(lambda: len(bench.calls()) == 1)
        bench.behave("")
        with bench.cutter._choosing:
            bench.size = 1 << 30
            bench.cutter.cancel(second.id)
        short = bench.press()
        wait_for(lambda: bench.store.get(short.id).state == "complete")
        assert len(bench.calls()) == 2
        assert bench.store.get(first.id).state == "cutting"
        bench.cutter.cancel(first.id)
        assert bench.ended(first).state == "cancelled"

    def test_what_the_ring_overwrites_first_is_cut_first(self, bench: Bench) -> None:
        jobs = [bench.press(before_s=before) for before in (60, 3600, 600)]
        while bench.store.unfinished():
            bench.cutter._step()
        starts = [call["start_ns"] for call in bench.calls()]
        assert starts == [jobs[index].start_ns for index in (1, 2, 0)]


@pytest.mark.spec("T10")
class TestUnforeseen:
    def test_three_tries_then_a_reason_and_the_others_go_on(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("allegro.trigger.cutter._RETRY_S", 0.01)

        def estimate(start_ns: int, end_ns: int) -> int:
            if end_ns - start_ns > 3600 * SECOND_NS:
                raise MemoryError
            return 0

        around = dataclasses.replace(bench.around, estimate=estimate)
        bench.cutter = Cutter(bench.store, around)
        bench.triggers = Triggers(bench.store, bench.cutter, around, Defaults)
        bench.start()
        impossible = bench.press(before_s=86400)
        others = [bench.press() for _ in range(3)]
        assert [bench.ended(job).state for job in others] == ["complete"] * 3
        failed = bench.ended(impossible)
        assert (failed.state, failed.tries) == ("failed", 3)
        assert "tried 3 times: something unforeseen happened (MemoryError)" in failed.message

    def test_a_job_that_ends_the_program_is_not_begun_for_ever(self, bench: Bench) -> None:
        job = bench.press()
        for _ in range(3):  # as if the power went each time just after it was begun
            bench.store.change(job.id, state="cutting", directory="storage", tries=bench.tries(job) + 1)
            bench.restart()
        other = bench.press()
        bench.start()
        assert bench.ended(other).state == "complete"
        failed = bench.ended(job)
        assert failed.state == "failed"
        assert "was tried 3 times: each time the device" in failed.message

    def test_an_orderly_end_of_the_program_is_no_try(self, bench: Bench) -> None:
        bench.behave("hang")
        bench.start()
        job = bench.press()
        wait_for(lambda: len(bench.calls()) == 1)
        bench.stop()
        assert (bench.store.get(job.id).state, bench.tries(job)) == ("cutting", 0)


def test_worker_outlives_a_failing_database(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = threading.Event()
    original = JobStore.unfinished

    def failing(store: JobStore) -> list[Job]:
        if not failures.is_set():
            failures.set()
            raise Unavailable("The list of captures cannot be read.")
        return original(store)

    monkeypatch.setattr("allegro.trigger.cutter._RETRY_S", 0.01)
    bench.cutter._recover = lambda: None  # type: ignore[method-assign]
    monkeypatch.setattr(JobStore, "unfinished", failing)
    job = bench.press()
    bench.start()
    assert bench.ended(job).state == "complete"
    assert failures.is_set()
