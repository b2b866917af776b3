"""The release that today's recorder is compared with: 0.1.0, from this repository's history."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from benchmarks.measuring import BenchmarkError

RELEASE = "4dd0af3"
"""The commit of release 0.1.0."""


def unpack(target: Path) -> Path:
    """Its Python sources, in a new folder; returns what belongs into PYTHONPATH. Raises BenchmarkError."""
    done = subprocess.run(["git", "archive", RELEASE, "python"], capture_output=True, check=False)
    if done.returncode:
        raise BenchmarkError(
            f"release 0.1.0 ({RELEASE}) is not in the history: {done.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(target, filter="data")
    return target / "python"
