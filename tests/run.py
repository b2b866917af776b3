"""`make test`: runs all tests, then the few that failed once more, with nothing beside them.

Usage: python -m tests.run PYTEST-ARGUMENTS. What passes only alone is named at the end: it waits for
something in a way that a busy machine does not bear, and is to be mended, but it keeps no change back that
has nothing to do with it. What fails twice, or in company with many others, fails.
"""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

CACHE = Path("build/test-report/cache")
LAST_FAILED = CACHE / "v" / "cache" / "lastfailed"
"""Where pytest keeps the names of the tests that failed (its documentation: "How to re-run failed tests")."""
FEW = 5
"""Whatever fails more often is no matter of patience."""
TESTS_FAILED = 1
"""pytest.ExitCode: tests ran, and some failed. All else is no verdict on a test."""
AFTER_MINUTES = 20.0
"""What a run limited by MINUTES may take beyond them, in all."""


def worth_a_second_look(code: int, failed: list[str]) -> bool:
    """Whether a run that ended with this exit code and these failed tests is looked at again."""
    return code == TESTS_FAILED and 0 < len(failed) <= FEW


def seconds_left(minutes: float, passed_s: float) -> float | None:
    """For the second look, of a run that is limited to so many minutes (infinite: None)."""
    return None if math.isinf(minutes) else max(0.0, (minutes + AFTER_MINUTES) * 60 - passed_s)


def to_run_again(failed: list[str]) -> list[str]:
    """What shows these once more: their files, as the tests of a file may build on each other, but of the
    machine's tests, which do not, each alone."""
    return sorted({test if test.startswith("tests/vm/") else test.partition("::")[0] for test in failed})


def failed_tests() -> list[str]:
    """Those of the last run, by pytest's own note. Empty if there is none."""
    try:
        return sorted(json.loads(LAST_FAILED.read_text()))
    except FileNotFoundError:
        return []


def main(arguments: list[str]) -> int:
    """The exit code for `make`."""
    began = time.monotonic()
    pytest = [sys.executable, "-m", "pytest", "-o", f"cache_dir={CACHE}"]
    LAST_FAILED.unlink(missing_ok=True)
    code = subprocess.run([*pytest, *arguments]).returncode
    failed = failed_tests()
    if not worth_a_second_look(code, failed):
        return code
    print(f"\n{len(failed)} failed, and are run once more, alone:", *failed, sep="\n  ", flush=True)
    left_s = seconds_left(float(os.environ.get("MINUTES") or "inf"), time.monotonic() - began)
    try:
        again = subprocess.run(
            [*pytest, *to_run_again(failed)],
            env=os.environ | {"MINUTES": ""},  # a test that is not begun has not passed
            timeout=left_s,
        ).returncode
    except subprocess.TimeoutExpired:
        print("\nThe time of this run is over before they were through: they count as failed.")
        return code
    if again == 0:
        print("\nPassed only when they ran alone, which is to be mended:", *failed, sep="\n  ")
    return again


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
