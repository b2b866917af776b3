"""What the first packets of a file of 10 MB cost in the page, beside its download: HTTPS on this machine."""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from tests.harness.conversation import conversation
from tests.harness.dissectors import dissectors
from tests.harness.sharkd import pcapng_file
from tests.harness.web_programs import PASSWORDS, Programs, basic, web_programs

SIZE = 10_000_000
REPEATS = 5


@dataclass(frozen=True)
class Looks:
    """Seconds, medians: the whole file; its first packets, with nothing ready, and once they are there."""

    download_s: float
    first_s: float
    again_s: float
    answer_size: int


def measure(folder: Path) -> Looks:
    """Measures on copies of one file, as a view of a file is kept."""
    content = capture()
    shutil.rmtree(folder, ignore_errors=True)
    downloads: list[float] = []
    firsts: list[float] = []
    again: list[float] = []
    answer = b""
    with web_programs(folder) as programs, dissectors(programs.paths.dissectors) as running:
        for number in range(REPEATS):
            (programs.paths.storage / f"{number}.pcapng").write_bytes(content)
            downloads.append(_timed(programs, f"/api/files/{number}.pcapng")[0])
            for times in (firsts, again):
                seconds, answer = _timed(programs, f"/api/packets?file={number}.pcapng&limit=200")
                times.append(seconds)
            assert len(json.loads(answer)["packets"]) == 200
        running.kill()
    return Looks(
        statistics.median(downloads), statistics.median(firsts), statistics.median(again), len(answer)
    )


def capture() -> bytes:
    """A file of `SIZE` bytes: conversations of TCP, most of whose packets are full."""
    frames = itertools.islice(
        (
            frame
            for port in itertools.count(1024)
            for frame in conversation(1024 + port % 60000, answered=b"x" * 1400)
        ),
        SIZE * 4 // (1400 + 4 * 90),
    )
    return pcapng_file([("port1", frame, len(frame)) for frame in frames])


def text(looks: Looks) -> str:
    """For people."""
    return (
        f"Packets of a file of {SIZE / 1e6:.0f} MB, over HTTPS: its download {looks.download_s:.2f} s,"
        f" the first packets {looks.first_s:.2f} s ({looks.first_s / looks.download_s:.1f} times as long),"
        f" the next time {looks.again_s:.2f} s; {looks.answer_size / 1000:.0f} kB instead of"
        f" {SIZE / 1e6:.0f} MB on the way.\n"
    )


def _timed(programs: Programs, target: str) -> tuple[float, bytes]:
    began = time.monotonic()
    status, _, body = programs.request("GET", target, basic("capture", PASSWORDS["capture"]))
    assert status == 200, body
    return time.monotonic() - began, body
