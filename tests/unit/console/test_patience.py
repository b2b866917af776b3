"""A supervisor that is slow is not said to be dead: what it has said last stays for a while."""

import time
from pathlib import Path
from typing import Any

import pytest

from allegro.api import client
from allegro.console.__main__ import ANSWER_WITHIN_S, PATIENT_S, Console
from allegro.errors import Unavailable
from allegro.paths import Paths

pytestmark = pytest.mark.spec("N4")

STATUS: dict[str, Any] = {"problems": [], "actions": []}


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test sets."""
    made = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: made[0])
    return made


def test_one_late_answer_is_no_silence(
    now: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers: list[object] = [STATUS]

    def get(_self: client.Client, _path: str) -> object:
        if answers[0] is None:
            raise Unavailable("The device did not answer in time.")
        return answers[0]

    monkeypatch.setattr(client.Client, "get", get)
    console = Console(Paths(tmp_path / "data", tmp_path / "run"))
    console._ask()
    answers[0] = None
    now[0] += ANSWER_WITHIN_S * 2
    console._ask()
    assert console._facts().status == STATUS, "what was said last"
    now[0] += PATIENT_S
    console._ask()
    assert console._facts().status is None
    assert not console._facts().starting
    answers[0] = STATUS
    console._ask()
    assert console._facts().status == STATUS
