"""Texts that a fuzzer has found to go ways of their own in the grammar, and a minute of looking for more."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import fuzzing
from tests.harness.filter_texts import judge

pytestmark = pytest.mark.spec("F1")


def test_the_corpus() -> None:
    cases = fuzzing.corpus("grammar")
    assert cases
    for case in cases:
        judge(case.decode(errors="replace"))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_minute(tmp_path: Path) -> None:
    cases = fuzzing.written_out("grammar", fuzzing.corpus("grammar"), tmp_path)
    options = ["-max_total_time=60", "-max_len=300", "-timeout=30", f"-artifact_prefix={tmp_path}/found-"]
    result = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.grammar", *options, cases],
        cwd=Path(__file__).parents[3], text=True, errors="replace", capture_output=True,
    )  # fmt: skip
    assert result.returncode == 0, fuzzing.found("grammar", tmp_path) + result.stderr[-4000:]
