"""The whole line from the press to the file, killed with SIGKILL at random moments."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from allegro.trigger.jobs import JobStore

DEVICE = """
import sys, time
from pathlib import Path
from allegro.trigger import order
from allegro.trigger.cutter import Cutter
from allegro.trigger.jobs import JobStore
from allegro.trigger.surroundings import Surroundings
from allegro.trigger.press import Press
from allegro.trigger.service import Triggers

class Recorder:
    state, message, complete_through_ns = "recording", "", 2**62
    boot_id, complete_through_boot_ns = "", 0

class Defaults:
    before_s, after_s, filter, rows = 0, 0, "", ()
    format, packet_length, size_limit_mib = "pcapng", 0, 0

order.MOST_TRIES = 100  # it is killed more often than a capture is tried
root, fake, presses = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = JobStore(root / "allegro.sqlite")
around = Surroundings(
    ring=root / "ring", recorder_status=root / "status.json", storage=root / "storage",
    upload=root / "storage" / "upload", to_upload=lambda: False,
    recorder=Recorder, estimate=lambda start, end: 0, facts=dict, ports=list, play=lambda signal: None,
    on_complete=lambda job: None, command=("setpriv", "--pdeathsig", "KILL", "--", sys.executable, fake))
cutter = Cutter(store, around)
triggers = Triggers(store, cutter, around, Defaults)
cutter.start()
for number in range(presses):
    job = triggers.accept(Press(1_000_000_000 + number, "api", "manual"))
    print(job.id, flush=True)
    time.sleep(0.02)
while store.unfinished():
    time.sleep(0.02)
print("done", flush=True)
"""


@pytest.mark.spec("T3", "T5")
@pytest.mark.timeout(120)
def test_every_accepted_press_becomes_exactly_one_file(tmp_path: Path) -> None:
    for name in ("ring", "storage", "storage/upload"):
        (tmp_path / name).mkdir()
    fake = str(Path(__file__).with_name("fake_extract.py"))
    source = random.Random(401)
    accepted: list[int] = []

    def start(presses: int) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", DEVICE, str(tmp_path), fake, str(presses)],
            stdout=subprocess.PIPE,
            text=True,
        )

    for _ in range(6):
        with start(3) as process:
            assert process.stdout is not None
            accepted.append(int(process.stdout.readline()))
            time.sleep(source.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
            accepted += [int(line) for line in process.stdout.read().splitlines() if line.isdigit()]
    with start(0) as process:
        out, _ = process.communicate(timeout=100)
    assert out.split() == ["done"]
    jobs = JobStore(tmp_path / "allegro.sqlite").recent(1000)[::-1]
    assert set(accepted) <= {job.id for job in jobs}
    assert {job.state for job in jobs} == {"complete"}
    names = [job.file for job in jobs]
    assert len(set(names)) == len(names)
    assert sorted(path.name for path in (tmp_path / "storage").iterdir()) == sorted([*names, "upload"])
