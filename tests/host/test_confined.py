"""The extraction parses what strangers have sent: it runs with no more rights than it needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from allegro.trigger.extraction import CONFINED, EXTRACT_COMMAND
from tests.unit.capture.blocks import Frame
from tests.unit.capture.rings import RUN, Ring

RECORDER = 61185
"""User and group that stand for the recorder's here; in the range that systemd keeps for dynamic users."""

PROBE = """
import ctypes
signal = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(signal))  # PR_GET_PDEATHSIG, linux/prctl.h
print("Pdeathsig:", signal.value)
print(open("/proc/self/status").read())
"""


def test_it_has_no_capabilities_and_cannot_get_any() -> None:
    done = subprocess.run([*CONFINED, sys.executable, "-c", PROBE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    fields = dict(line.split(":", 1) for line in done.stdout.splitlines() if ":" in line)
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[kind], 16) == 0, kind
    assert fields["NoNewPrivs"].strip() == "1"
    assert fields["Pdeathsig"].strip() == "9"


def test_it_takes_no_code_from_the_environment_or_the_directory(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('somebody else's code')")
    (tmp_path / "allegro").mkdir()
    done = subprocess.run(
        EXTRACT_COMMAND,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        input="{}",
        capture_output=True,
        text=True,
    )
    assert "A time in nanoseconds" in json.loads(done.stdout)["error"]["message"], done.stderr


@pytest.mark.parametrize("member", [True, False])
def test_it_reads_the_recorders_ring_by_its_group_only(tmp_path: Path, member: bool) -> None:
    ring = Ring(tmp_path / "ring")
    ring.add(1, [Frame(RUN + number, bytes(60)) for number in range(10)])
    for path in (ring.directory, *ring.directory.iterdir()):
        os.chown(path, RECORDER, RECORDER)
        path.chmod(0o750 if path.is_dir() else 0o640)
    output = tmp_path / "out.pcapng"
    request = {
        "ring_directory": str(ring.directory),
        "start_ns": RUN,
        "end_ns": RUN + 100,
        "output": str(output),
    }
    done = subprocess.run(
        EXTRACT_COMMAND,
        input=json.dumps(request),
        extra_groups=[RECORDER] if member else [],
        capture_output=True,
        text=True,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    if member:
        assert answer["result"]["packets"] == 10, done.stderr
        assert output.exists()
    else:
        assert "Permission denied" in answer["error"]["message"]
        assert not output.exists()
