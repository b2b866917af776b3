"""Tests of the second look at failed tests: it never makes a failure out to be none."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests import run
from tests.harness.qemu import REPOSITORY


@pytest.mark.parametrize(
    ("code", "failed", "worth"),
    [(1, 1, True), (1, 5, True), (1, 6, False), (1, 0, False), (0, 0, False), (2, 1, False), (3, 1, False)],
)
def test_only_a_few_failed_tests_are_looked_at_again(code: int, failed: int, worth: bool) -> None:
    assert run.worth_a_second_look(code, ["x"] * failed) is worth


def test_tests_that_build_on_each_other_are_run_again_together() -> None:
    failed = ["tests/host/a.py::one[x::y]", "tests/host/a.py::two", "tests/vm/b.py::three[z]"]
    assert run.to_run_again(failed) == ["tests/host/a.py", "tests/vm/b.py::three[z]"]


def test_a_limited_run_stays_limited() -> None:
    assert run.seconds_left(math.inf, 5000) is None
    assert run.seconds_left(58, 70 * 60) == 8 * 60
    assert run.seconds_left(58, 90 * 60) == 0


@pytest.mark.parametrize(
    ("fails", "code", "says"),
    [("once", 0, "Passed only when they ran alone"), ("always", 1, "1 failed"), ("never", 0, "1 passed")],
)
def test_what_fails_twice_fails(tmp_path: Path, fails: str, code: int, says: str) -> None:
    note = tmp_path / "note"
    (tmp_path / "test_it.py").write_text(
        "from pathlib import Path\n"
        "def test_it():\n"
        f"    note = Path({str(note)!r})\n"
        "    first = not note.exists()\n"
        "    note.touch()\n"
        f"    assert {fails!r} == 'never' or ({fails!r} == 'once' and not first)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.run", "-p", "no:xdist", f"--rootdir={tmp_path}", str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "MINUTES": "58"}
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # they take longer than the tests
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert says in done.stdout
