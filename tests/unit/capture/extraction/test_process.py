from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from allegro.capture.extraction import __main__ as process
from allegro.capture.extraction.contract import Request
from tests.unit.capture.blocks import Frame
from tests.unit.capture.rings import RUN as T
from tests.unit.capture.rings import Ring

REQUEST = Request(Path("/r"), 1, 2, Path("/o/x.pcapng"))


def start(request: dict[str, Any] | str) -> subprocess.CompletedProcess[str]:
    text = request if isinstance(request, str) else json.dumps(request)
    return subprocess.run(
        [sys.executable, "-m", "allegro.capture.extraction"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_process(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "ring")
    ring.add(1, [Frame(T, bytes(60))])
    request = {
        "ring_directory": str(ring.directory),
        "start_ns": T,
        "end_ns": T,
        "output": str(tmp_path / "x"),
    }
    done = start(request)
    assert (done.returncode, done.stderr) == (0, "")
    *progress, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert progress[0] == {"progress": {"fraction": 0.0, "packets": 0, "bytes": 0, "read": 0}}
    result = last["result"]
    assert result["packets"] == 1
    assert result["file_size"] == (tmp_path / "x").stat().st_size
    assert result["ports"][0] == {
        "name": "port1",
        "packets": 1,
        "drops": 0,
        "nic_missed": 0,
        "rejected": 0,
        "discarded": 0,
    }
    again = start(request)
    assert again.returncode == 1
    assert "exists already" in json.loads(again.stdout.splitlines()[-1])["error"]["message"]
    wrong = start("nonsense")
    assert wrong.returncode == 1
    assert set(json.loads(wrong.stdout)["error"]) == {"message", "remedy"}
    assert wrong.stderr == ""


_WATCHED = """
import atexit, os, runpy, sys
import allegro.capture.extraction.__main__
before, end = set(sys.modules), os._exit
def told(code):
    print("late:", *sorted(set(sys.modules) - before), flush=True)
    end(code)
os._exit = told
atexit.register(print, "the interpreter takes itself apart", flush=True)
runpy.run_module("allegro.capture.extraction", run_name="__main__", alter_sys=True)
"""


def test_a_press_waits_neither_for_imports_nor_for_the_end_of_the_interpreter(tmp_path: Path) -> None:
    """The process that waits has all it needs, and is gone when it has said that its file is there."""
    ring = Ring(tmp_path / "ring")
    ring.add(1, [Frame(T, bytes(60))])
    request = Request(ring.directory, T, T, tmp_path / "x")
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED], input=request.to_json(), capture_output=True, check=True
    )
    *said, late = done.stdout.decode().splitlines()
    assert '"result"' in said[-1]
    assert set(late.removeprefix("late:").split()) <= {"encodings.ascii"}


def test_an_unexpected_failure_is_told_without_a_traceback_on_the_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("oops")

    class Input:
        buffer = io.BytesIO(REQUEST.to_json())

    monkeypatch.setattr(process, "extract", fail)
    monkeypatch.setattr(process, "lower_priority", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "stdin", Input)
    assert process.main() == 1
    told = capsys.readouterr()
    assert "unexpectedly (ZeroDivisionError: oops)" in json.loads(told.out)["error"]["message"]
    assert "Traceback" in told.err
