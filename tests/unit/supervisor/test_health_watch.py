import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allegro.capture.status import PortStatus, RecorderStatus, RingStatus, write
from allegro.errors import Unavailable
from allegro.events.event_list import EventList
from allegro.export.queue import UploadQueue
from allegro.export.uploads import ExportService
from allegro.paths import Paths
from allegro.settings.settings_file import SettingsStore
from allegro.storage import capture_files
from allegro.storage.capture_files import FileStore
from allegro.storage.room import Room
from allegro.supervisor import health_watch
from allegro.supervisor.health_watch import Watch
from allegro.supervisor.parts import Parts
from allegro.system.health import Problem
from allegro.trigger.input_reader import ConnectedPresenter
from allegro.trigger.jobs import JobStore

PRESENTER = ConnectedPresenter("Logitech R400", "046d", "c52d", "")


@dataclasses.dataclass
class Bench:
    paths: Paths
    parts: Parts
    queue: UploadQueue
    presenters: list[ConnectedPresenter]
    watch: Watch
    events: EventList
    settings: SettingsStore
    export: ExportService
    first_passwords: tuple[str, ...] = ()
    notifications: tuple[Problem, ...] = ()
    told_before: dict[str, str] = dataclasses.field(default_factory=dict)

    def say(self, drops: int = 0, ring: Path | None = None) -> None:
        """The recorder works and has lost so many packets since its start."""
        ports = (PortStatus("port1", 1, True),)
        lies = RingStatus(str(ring)) if ring else None
        status = RecorderStatus(
            time_ns=time.time_ns(), state="recording", ports=ports, drops=drops, ring=lies
        )
        write(status, self.paths.recorder_status)

    def problems(self) -> list[str]:
        return [problem.id for problem in self.watch.problems()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    paths = Paths(tmp_path / "data", tmp_path / "run")
    for directory in (paths.state, paths.upload, paths.recorder_status.parent):
        directory.mkdir(parents=True)
    settings = SettingsStore(paths.settings)
    jobs = JobStore(paths.database)
    queue = UploadQueue(paths.upload, paths.database)
    export = ExportService(queue, lambda: settings.current.export, paths.ssh, "allegro-mm")
    parts = Parts()
    presenters = [PRESENTER]
    events = EventList(paths.events)
    told = (lambda: "", lambda: None, lambda: "", lambda: None)
    watch = Watch(
        *(paths, parts, settings, jobs, export, lambda: presenters, *told),
        *(lambda: (), lambda: 0, lambda: made.first_passwords, lambda: made.notifications, events.note),
        room=Room((FileStore(paths.storage),), FileStore(paths.sent), lambda: settings.current.storage),
        told_before=lambda: made.told_before,
    )
    made: Bench = Bench(paths, parts, queue, presenters, watch, events, settings, export)
    made.say()
    yield made
    jobs.close()


def test_all_is_well(bench: Bench) -> None:
    assert bench.problems() == []


@pytest.mark.spec("S6")
def test_first_passwords_are_told(bench: Bench) -> None:
    bench.first_passwords = ("page", "WiFi")
    assert bench.problems() == ["first-passwords"]


def test_a_recorder_that_never_spoke(bench: Bench) -> None:
    bench.paths.recorder_status.unlink()
    assert bench.problems() == ["recorder-silent"]


@pytest.mark.spec("W5")
def test_it_is_known_that_the_ring_lies_on_the_disk_that_was_chosen_for_it(bench: Bench) -> None:
    for ring, chosen in ((bench.paths.ring, False), (bench.paths.ring_disk / "allegro-ring", True)):
        bench.say(ring=ring)
        assert bench.watch.facts().ring_on_chosen_disk is chosen


@pytest.mark.spec("R5", "W5")
def test_refused_writes_are_a_problem_of_the_disk_on_which_the_ring_lies(bench: Bench) -> None:
    """Those of one that the ring has left, as it was pulled, are counted only."""
    for here, told in ((3, ["ring-write-errors"]), (0, [])):
        status = RecorderStatus(
            time_ns=time.time_ns(),
            state="recording",
            ports=(PortStatus("port1", 1, True),),
            write_errors=3,
            ring_write_errors=here,
        )
        write(status, bench.paths.recorder_status)
        assert bench.problems() == told


@pytest.mark.spec("R5")
def test_losses_are_seen_and_a_silent_recorder_makes_none(bench: Bench) -> None:
    bench.say(drops=1000)
    assert bench.problems() == []  # before anybody looked
    bench.paths.recorder_status.unlink()
    bench.problems()
    bench.say(drops=1005)
    assert bench.watch.facts().recent_drops == 5
    assert bench.problems() == ["packets-lost"]


def test_parts_and_presenters_that_fail_are_seen(bench: Bench) -> None:
    bench.parts.fail("sound", "no thread.")
    bench.presenters[:] = [dataclasses.replace(PRESENTER, problem="Device or resource busy")]
    assert bench.problems() == ["presenter", "part-sound"]


@pytest.mark.spec("X3")
def test_an_upload_that_failed_is_seen_with_its_reason(bench: Bench) -> None:
    (bench.paths.upload / "a.pcapng").write_bytes(b"x")
    bench.queue.release(["a.pcapng"], 1)
    bench.queue.failed(["a.pcapng"], 2, Unavailable("The server does not answer."))
    assert bench.watch.facts().upload_failures == (("a.pcapng", "The server does not answer."),)
    assert bench.problems() == ["uploads-fail"]


def test_storage_that_is_gone_is_seen(bench: Bench) -> None:
    bench.paths.upload.rmdir()
    bench.paths.storage.rmdir()
    assert bench.watch.facts().storage_error == "No such file or directory."
    assert bench.problems() == ["no-storage"]


@pytest.mark.spec("W3", "W5")
def test_storage_that_takes_no_further_file_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_files, "files_left", lambda _: 0)
    assert bench.problems() == ["storage-full"]
    assert "takes no further file" in bench.watch.facts().storage_refuses


def test_a_problem_is_logged_once_and_so_is_its_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(health_watch, "LOOK_EVERY_S", 0.005)
    bench.parts.fail("sound", "no thread.")
    bench.watch.start()
    _until(lambda: "no thread." in caplog.text)
    bench.parts.fail("light", "dark.")
    _until(lambda: "dark." in caplog.text)
    bench.paths.recorder_status.unlink()
    _until(lambda: "not been heard of" in caplog.text)
    bench.say()
    _until(lambda: "No longer a problem: recorder-silent" in caplog.text)
    bench.watch.stop()
    assert caplog.text.count("no thread.") == 1
    told = [(each.kind, each.source) for each in bench.events.newest(2)]
    assert told == [("problem-over", "recorder-silent"), ("problem", "recorder-silent")]


@pytest.mark.spec("X7")
def test_a_problem_that_was_told_before_a_restart_is_told_no_second_time_but_its_end_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(health_watch, "LOOK_EVERY_S", 0.005)
    bench.told_before = {"part-sound": "no thread.", "no-link": "None has a link."}
    bench.parts.fail("sound", "no thread.")
    bench.watch.start()
    _until(lambda: bool(bench.events.newest(1)))
    bench.watch.stop()
    assert "no thread." in caplog.text
    told = [(each.kind, each.source, each.text) for each in bench.events.newest(9)]
    assert told == [("problem-over", "no-link", "No longer a problem: None has a link.")]


@pytest.mark.spec("X6")
def test_a_problem_of_the_export_names_the_way_that_is_set(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status() -> None:
        raise Unavailable("The record of the uploads cannot be read.")

    monkeypatch.setattr(bench.export, "status", status)
    assert bench.problems() == ["part-sftp-export"]
    bench.settings.change({"export": {"protocol": "webdav"}})
    assert bench.problems() == ["part-webdav-export"]


@pytest.mark.spec("X7")
def test_what_keeps_notifications_from_getting_through_is_a_problem(bench: Bench) -> None:
    bench.notifications = (Problem("notify-mail", "warning", "It does not get through.", "Wait."),)
    assert bench.problems() == ["notify-mail"]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
