import time
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.capture.status import RecorderStatus, write
from allegro.errors import Unavailable
from allegro.firmware import boot_state
from allegro.firmware.boot_state import BAD, PROVEN, TO_BE_TRIED, BootState, Slot
from allegro.firmware.confirmation import Look
from allegro.firmware.events import Events
from allegro.firmware.rauc import Rauc
from allegro.firmware.trial import Trial, TrialNote
from allegro.paths import Paths
from allegro.supervisor import programs
from allegro.supervisor.confirm import confirm
from allegro.supervisor.programs import look, unit_states, web_answers

UNITS = """\
Id=allegro-recorder.service
ActiveState=active
NRestarts=0

NRestarts=2
ActiveState=active
Id=allegro-supervisor.service

Id=allegro-web.service
ActiveState=activating
NRestarts=[not set]
"""
TRIAL = Trial("1.0.0", "slot-a", "2.0.0", "slot-b", "run-1", was_recording=True)


class Marks(Rauc):
    def __init__(self, fail: bool = False) -> None:
        self.calls: list[str] = []
        self.fail = fail

    def mark(self, state: str, slot: str) -> None:
        self.calls.append(f"{state} {slot}")
        if self.fail:
            raise Unavailable("The installer does not answer.")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "data", tmp_path / "run")
    made.recorder_status.parent.mkdir(parents=True)
    made.data.mkdir()
    return made


class Clock:
    """Time passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def tried(paths: Paths, version: str, slot: Slot, installer: Rauc, *problems: str) -> bool:
    """The answer of a confirmation that always sees these problems."""
    clock = Clock()
    return confirm(paths, version, slot, 60, installer, lambda _: Look(problems, 0), clock, clock.pause)


def test_states_of_units() -> None:
    assert unit_states(UNITS) == {
        "allegro-recorder.service": ("active", 0),
        "allegro-supervisor.service": ("active", 2),
        "allegro-web.service": ("activating", 0),
    }


def test_what_is_looked_at(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "systemctl", lambda *_: UNITS)
    monkeypatch.setattr(programs, "web_answers", lambda _inside: True)
    found = look(paths, must_record=True)
    assert found.problems == (
        "the web page does not run",
        "the recorder does not answer",
        "the supervisor does not answer",
    )
    assert found.restarts == 2
    for said in (RecorderStatus(state="no-ring"), RecorderStatus(state="recording", in_memory_since_ns=1)):
        write(replace(said, time_ns=time.time_ns()), paths.recorder_status)
        assert "the recorder does not record" in look(paths, must_record=True).problems
    assert "the recorder does not record" not in look(paths, must_record=False).problems
    assert not web_answers(paths.page_socket)


@pytest.mark.spec("U1")
def test_a_version_that_works_becomes_good(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_state, "read", lambda: BootState(primary="slot-b", slot_b=TO_BE_TRIED))
    note = TrialNote(paths.firmware / "trial.json")
    note.write(TRIAL)
    marks = Marks()
    assert tried(paths, "2.0.0", "slot-b", marks) is False
    assert marks.calls == ["good booted"]
    assert note.read() is None
    (event,) = Events(paths.firmware / "events.json").all()
    assert (event.kind, event.text) == ("confirmed", "2.0.0 in slot-b works; it is confirmed.")


@pytest.mark.spec("U1")
def test_a_version_that_does_not_work_is_given_up(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_state, "read", lambda: BootState(primary="slot-b", slot_b=TO_BE_TRIED))
    note = TrialNote(paths.firmware / "trial.json")
    note.write(TRIAL)
    marks = Marks()
    assert tried(paths, "2.0.0", "slot-b", marks, "the web page does not answer") is True
    assert marks.calls == ["bad booted"]
    assert note.read() == replace(TRIAL, starts=1, reason="the web page does not answer")


def test_a_good_version_is_left_alone(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_state, "read", lambda: BootState())
    marks = Marks()
    assert tried(paths, "1.0.0", "slot-a", marks, "the web page does not answer") is False
    assert marks.calls == []


def test_without_another_version_there_is_no_restart(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boot_state, "read", lambda: BootState(slot_a=TO_BE_TRIED, slot_b=BAD))
    marks = Marks()
    assert tried(paths, "1.0.0", "slot-a", marks, "the web page does not answer") is False
    assert marks.calls == []
    assert Events(paths.firmware / "events.json").all()[-1].kind == "failed"


def test_a_good_version_that_was_activated_again_is_judged_as_well(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot_state, "read", lambda: BootState(primary="slot-b", slot_b=PROVEN))
    TrialNote(paths.firmware / "trial.json").write(TRIAL)
    marks = Marks()
    assert tried(paths, "2.0.0", "slot-b", marks, "the supervisor does not answer") is True
    assert marks.calls == ["bad booted"]


def test_what_cannot_be_noted_never_leads_to_restarts_without_end(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that works goes on; a good one that does not work would start again; others use up tries."""
    ill = "the supervisor does not answer"
    TrialNote(paths.firmware / "trial.json").write(TRIAL)
    monkeypatch.setattr(boot_state, "read", lambda: BootState(primary="slot-b", slot_b=TO_BE_TRIED))
    assert tried(paths, "2.0.0", "slot-b", Marks(fail=True)) is False
    assert "cannot be noted" in Events(paths.firmware / "events.json").all()[-1].text
    assert tried(paths, "2.0.0", "slot-b", Marks(fail=True), ill) is True
    monkeypatch.setattr(boot_state, "read", lambda: BootState(primary="slot-b", slot_b=PROVEN))
    assert tried(paths, "2.0.0", "slot-b", Marks(fail=True), ill) is False
