"""`make demo` does what it promises."""

import subprocess
import sys

import pytest

from tests.harness.qemu import REPOSITORY


@pytest.mark.spec("T1", "T3", "T5", "X3")
def test_the_demo_runs_to_its_end() -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "scripts.demo"], cwd=REPOSITORY, capture_output=True, text=True, timeout=600
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "The server's copy is the same, byte for byte" in demo.stdout
    (capture,) = (REPOSITORY / "build" / "demo").glob("*_presenter_next.pcapng")
    assert capture.stat().st_size > 0
