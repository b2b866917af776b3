"""The decisions of the service; real uploads are in tests/host/test_sftp.py."""

import contextlib
import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound
from allegro.export import failures, session, uploads
from allegro.export.failures import Target
from allegro.export.queue import UploadQueue
from allegro.export.uploads import ExportService
from allegro.export.way import Way
from allegro.settings.model import Export
from tests.harness.waiting import wait_for

HOUR = 3600 * 10**9
START = int(dt.datetime(2026, 11, 21, 12).timestamp()) * 10**9
PINNED = "SHA256:" + "A" * 43

StepDuring = Callable[[Callable[[], object]], dict[str, int]]


class Bench:
    """A service whose server refuses every connection, and a clock that the test sets."""

    def __init__(self, directory: Path) -> None:
        (directory / "upload").mkdir()
        self.now = START
        self.believable = True
        self.export = Export(
            enabled=True, host="127.0.0.1", port=1, username="u", password="p", host_key=PINNED
        )
        self.queue = UploadQueue(directory / "upload", directory / "allegro.sqlite")
        self.service = self.make(directory)
        self.make_again: Callable[[], ExportService] = lambda: self.make(directory)

    def make(self, directory: Path) -> ExportService:
        return ExportService(
            self.queue,
            lambda: self.export,
            directory / "ssh",
            "allegro-mm-1234",
            clock_ns=lambda: self.now,
            clock_is_believable=lambda: self.believable,
        )

    def add(self, name: str) -> None:
        (self.queue.files.root / name).write_bytes(b"x")

    def attempts(self) -> dict[str, int]:
        self.service._step()
        return {one.file.name: one.tries.attempts for one in self.queue.waiting()}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.spec("X1")
def test_files_wait_for_the_time_of_day(bench: Bench) -> None:
    bench.add("a")
    assert bench.attempts() == {"a": 0}
    bench.now += 13 * HOUR
    assert bench.attempts() == {"a": 0}
    bench.now += 2 * HOUR
    bench.add("b")
    assert bench.attempts() == {"a": 1, "b": 1}
    bench.add("c")
    bench.now += HOUR
    assert bench.attempts() == {"a": 2, "b": 2, "c": 0}


@pytest.mark.spec("X4")
def test_a_missed_run_is_made_up_for_at_start(bench: Bench) -> None:
    bench.add("a")
    assert bench.attempts() == {"a": 0}
    bench.now += 100 * HOUR
    bench.service = bench.make_again()
    assert bench.attempts() == {"a": 1}


@pytest.mark.spec("N7", "X4")
def test_a_clock_that_is_late_starts_no_daily_run(bench: Bench) -> None:
    bench.add("a")
    bench.attempts()
    bench.believable = False
    bench.now += 24 * HOUR
    assert bench.attempts() == {"a": 0}
    bench.export = bench.export.model_copy(update={"immediately": True})
    assert bench.attempts() == {"a": 1}, "that is due at no time of day"
    bench.add("b")
    bench.export = bench.export.model_copy(update={"immediately": False})
    assert bench.attempts()["b"] == 0
    bench.believable = True
    assert bench.attempts()["b"] == 1


@pytest.mark.spec("X4")
def test_switching_on_does_not_make_up_for_the_time_before(bench: Bench) -> None:
    bench.attempts()
    bench.export = bench.export.model_copy(update={"enabled": False})
    bench.add("a")
    bench.attempts()
    bench.now += 100 * HOUR
    assert bench.attempts() == {"a": 0}
    bench.export = bench.export.model_copy(update={"enabled": True})
    assert bench.attempts() == {"a": 0}


@pytest.mark.spec("X4")
def test_immediately_sends_each_new_file(bench: Bench) -> None:
    bench.export = bench.export.model_copy(update={"immediately": True})
    bench.add("a")
    assert bench.attempts() == {"a": 1}


@pytest.mark.spec("X1")
def test_upload_now_ends_a_pause_and_works_while_switched_off(bench: Bench) -> None:
    bench.export = bench.export.model_copy(update={"enabled": False})
    bench.add("a")
    assert bench.service.upload_now() == 1
    assert bench.attempts() == {"a": 1}
    bench.now += 100 * HOUR
    assert bench.attempts() == {"a": 1}  # switched off: not tried again by itself
    bench.service.upload_now()
    assert bench.attempts() == {"a": 2}


@pytest.fixture
def attempts_during(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> StepDuring:
    """The attempts after a step in whose failing try something else happens."""

    def step(happens: Callable[[], object]) -> dict[str, int]:
        def explain(error: Exception, target: Target) -> AllegroError:
            happens()
            return failures.explain_connection(error, target)

        with monkeypatch.context() as patched:
            patched.setattr(session, "explain_connection", explain)
            return bench.attempts()

    return step


@pytest.mark.spec("X1")
def test_upload_now_while_a_try_is_failing_means_another_try(
    bench: Bench, attempts_during: StepDuring
) -> None:
    bench.add("a")
    bench.service.upload_now()
    assert attempts_during(bench.service.upload_now) == {"a": 1}
    assert bench.attempts() == {"a": 2}
    assert bench.attempts() == {"a": 2}


@pytest.mark.spec("X1")
def test_a_server_corrected_while_the_old_one_is_tried_is_tried_at_once(
    bench: Bench, attempts_during: StepDuring
) -> None:
    def correct() -> None:
        bench.export = bench.export.model_copy(update={"port": 2})

    bench.add("a")
    bench.service.upload_now()
    assert attempts_during(correct) == {"a": 0}
    assert bench.attempts() == {"a": 1}
    assert "port 2" in bench.queue.waiting()[0].tries.error


@pytest.mark.spec("X3")
@pytest.mark.parametrize(
    "change", [{"host": "127.0.0.2"}, {"port": 2}, {"username": "v"}, {"directory": "in"}]
)
def test_another_destination_knows_no_names_of_the_one_before(
    bench: Bench, change: dict[str, object]
) -> None:
    bench.add("a")
    bench.service.upload_now()
    bench.attempts()
    bench.queue.note_renamed("a", "a")
    bench.service.upload_now()
    bench.attempts()
    assert bench.queue.renamed("a") == "a"
    bench.export = bench.export.model_copy(update=change)
    bench.service.upload_now()
    bench.attempts()
    assert bench.queue.renamed("a") == ""


@pytest.mark.spec("X3", "X6")
def test_what_was_noted_for_one_protocol_is_not_believed_for_another(bench: Bench) -> None:
    bench.add("a")
    there = {"url": "https://127.0.0.1:1/in"}
    for protocol in ("webdav", "https", "s3", "webdav"):
        bench.export = bench.export.model_copy(update={**there, "protocol": protocol})
        bench.service.upload_now()
        bench.attempts()
        assert bench.queue.renamed("a") == ""
        bench.queue.note_renamed("a", "a")


@pytest.mark.spec("X1")
def test_switching_off_withdraws_what_was_released(bench: Bench) -> None:
    bench.attempts()
    bench.add("a")
    bench.service.upload_now()
    bench.export = bench.export.model_copy(update={"enabled": False})
    assert bench.attempts() == {"a": 0}
    assert not bench.queue.waiting()[0].released


@pytest.mark.spec("X1")
def test_upload_now_right_after_switching_off_counts(bench: Bench) -> None:
    bench.attempts()
    bench.add("a")
    bench.export = bench.export.model_copy(update={"enabled": False})
    bench.service.upload_now()
    assert bench.attempts() == {"a": 1}


@pytest.mark.spec("X1")
def test_a_test_does_not_wait_for_a_whole_queue(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "TEST_WAITS_S", 0.01)
    with bench.service._busy, pytest.raises(Conflict, match="in use by an upload"):
        bench.service.test()


@pytest.mark.spec("X2")
def test_upload_now_without_an_accepted_host_key_is_refused(bench: Bench) -> None:
    bench.export = bench.export.model_copy(update={"host_key": ""})
    with pytest.raises(Conflict, match="host key has not been accepted"):
        bench.service.upload_now()


def test_without_a_server_the_user_is_told(bench: Bench) -> None:
    bench.export = Export()
    with pytest.raises(Conflict, match="No SFTP server is set up"):
        bench.service.upload_now()
    with pytest.raises(Conflict, match="No SFTP server is set up"):
        bench.service.test()


def test_a_missing_password_is_told_per_file(bench: Bench) -> None:
    bench.export = bench.export.model_copy(update={"password": "", "immediately": True})
    bench.add("a")
    bench.attempts()
    assert bench.queue.waiting()[0].tries.error == "There is no password for the server."


@pytest.mark.spec("X1")
def test_delete(bench: Bench) -> None:
    bench.add("a")
    bench.service.delete("a")
    assert bench.queue.waiting() == []
    with pytest.raises(NotFound):
        bench.service.delete("a")
    with pytest.raises(InvalidInput):
        bench.service.delete("../allegro.sqlite")


def test_status(bench: Bench) -> None:
    bench.add("a")
    status = bench.service.status()
    assert (status.state, status.running, status.last_run) == ("idle", None, None)
    assert 0 < status.next_run_ns - START <= 25 * HOUR
    bench.export = bench.export.model_copy(update={"enabled": False})
    assert (bench.service.status().state, bench.service.status().next_run_ns) == ("off", 0)


@pytest.mark.spec("X4")
def test_what_nobody_foresaw_pauses_the_files_as_any_failure_does(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_export: Export) -> Way:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(bench.service, "_way", broken)
    bench.add("a")
    bench.service.upload_now()
    for _ in range(3):
        with contextlib.suppress(RuntimeError):
            bench.service._step()
    (waiting,) = bench.queue.waiting()
    assert waiting.tries.attempts == 1
    assert "unforeseen" in waiting.tries.error
    run = bench.service.status().last_run
    assert run is not None
    assert (run.failed, run.error) == (1, waiting.tries.error)


def test_the_thread_survives_what_nobody_foresaw(bench: Bench) -> None:
    def broken() -> Export:
        raise RuntimeError("unforeseen")

    bench.service._settings = broken
    bench.service.start()
    try:
        wait_for(lambda: "unforeseen" in bench.service._problem, "problem noted", 10)
        assert bench.service._thread.is_alive()
    finally:
        bench.service.stop()
    assert not bench.service._thread.is_alive()
