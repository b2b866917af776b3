import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from allegro.firmware.trial import Trial, TrialNote, begun, fell_back

TRIAL = Trial("1.0.0", "slot-a", "2.0.0", "slot-b", "run-1")


def test_the_note_survives_and_goes(tmp_path: Path) -> None:
    note = TrialNote(tmp_path / "firmware" / "trial.json")
    assert note.read() is None
    note.write(replace(TRIAL, starts=2, reason="x"))
    assert TrialNote(tmp_path / "firmware" / "trial.json").read() == replace(TRIAL, starts=2, reason="x")
    note.remove()
    assert note.read() is None
    note.remove()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"future": 1}'])
def test_a_note_that_makes_no_sense_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "trial.json").write_text(content)
    assert TrialNote(tmp_path / "trial.json").read() is None


@pytest.mark.spec("S2", "U7")
def test_a_note_of_a_newer_version_counts_and_a_damaged_one_gives_way_to_its_copy(tmp_path: Path) -> None:
    note = TrialNote(tmp_path / "trial.json")
    (tmp_path / "trial.json").write_text(json.dumps({**asdict(TRIAL), "asked_by": "anna"}))
    assert note.read() == TRIAL
    note.write(replace(TRIAL, starts=1))
    (tmp_path / "trial.json").write_bytes(b"\x00")
    assert note.read() == replace(TRIAL, starts=1)


def test_a_start_counts_only_in_the_slot_on_trial() -> None:
    assert begun(None, "slot-b") is None
    assert begun(TRIAL, "slot-a") is None
    assert begun(replace(TRIAL, starts=1), "slot-b") == replace(TRIAL, starts=2)


@pytest.mark.parametrize(
    ("starts", "reason", "why"),
    [
        (0, "", "it did not start"),
        (1, "", "it started once, but stopped before it was seen to work"),
        (3, "", "it started 3 times, but stopped before it was seen to work"),
        (1, "the supervisor does not answer", "the supervisor does not answer"),
    ],
)
def test_the_sentence_about_a_fall_back(starts: int, reason: str, why: str) -> None:
    sentence = fell_back(replace(TRIAL, starts=starts, reason=reason), "1.0.0")
    assert sentence == f"Fell back from 2.0.0 to 1.0.0, because {why}."
