"""What the page costs the image: told, not asserted, as an emulated processor on a busy host takes any time.

`make soak` shows it, with this processor's speed beside that of the host.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import APIRequestContext, Page, expect

from allegro.capture.ring.segments import TIB
from benchmarks import large_ring, looking
from tests.conftest import Lab, Tell
from tests.harness.browser import DESKTOP, chromium_browser
from tests.harness.qemu import VirtualMachine
from tests.harness.visitor import WAIT_MS, Visitor, log_in
from tests.harness.waiting import PATIENCE

SEGMENTS = 32_768
DAY_S = 86_400
PASSWORD = "correct horse battery"
REPEATS = 5
OPEN_S = 60
PROGRAMS = ("allegro-web", "allegro-supervisor")

_UNPACK = """
import os, pathlib, shutil, sys, tarfile
packed, ring = pathlib.Path(sys.argv[1]), pathlib.Path("/data/ring")
shutil.rmtree(ring)
ring.mkdir()
for line in (packed / "holes").read_text().splitlines():
    name, size = line.split()
    file = os.open(ring / name, os.O_CREAT | os.O_WRONLY)
    os.ftruncate(file, int(size))
    os.close(file)
with tarfile.open(packed / "others.tar.gz") as archive:
    archive.extractall(ring, filter="data")
"""
"""As root, who may read all of it; the recorder does not run any more."""
_LOOP = "import time; n = 0\nfor each in range(3_000_000): n += each\nprint(time.process_time())"


def processor_s(machine: VirtualMachine) -> float:
    """Of page and supervisor, with all that they have started."""
    shown = machine.run(["systemctl", "show", "--property", "CPUUsageNSec", "--value", *PROGRAMS]).stdout
    return sum(map(int, shown.split())) / 1e9


def cost_s(machine: VirtualMachine, act: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor and of the clock."""
    before, began = processor_s(machine), time.monotonic()
    act()
    clock_s = time.monotonic() - began
    return processor_s(machine) - before, clock_s


def median_cost_s(machine: VirtualMachine, acts: list[Callable[[], object]]) -> tuple[float, float]:
    """The medians of both."""
    processor, clock = zip(*(cost_s(machine, act) for act in acts), strict=True)
    return statistics.median(processor), statistics.median(clock)


def replace_ring(machine: VirtualMachine, folder: Path) -> None:
    """The ring is one of many segments and a day of traffic; nobody records any more."""
    large_ring.make(folder / "ring", SEGMENTS, 32 * TIB // SEGMENTS, DAY_S / SEGMENTS)
    parts = list((folder / "ring").iterdir())
    holes = [part for part in parts if not part.stat().st_blocks]
    others = [part.name for part in parts if part.stat().st_blocks]
    packed = folder / "others.tar.gz"
    subprocess.run(["tar", "-C", folder / "ring", "-czSf", packed, *others], check=True)
    machine.run("systemctl stop allegro-recorder; mkdir /data/packed")
    machine.push(
        "".join(f"{part.name} {part.stat().st_size}\n" for part in holes).encode(), "/data/packed/holes"
    )
    machine.push(packed.read_bytes(), "/data/packed/others.tar.gz")
    machine.run(["python3", "-I", "-c", _UNPACK, "/data/packed"], 600)
    machine.run("rm -r /data/packed")


def got(ask: APIRequestContext, path: str) -> Callable[[], object]:
    """Asks for it as a browser does."""

    def get() -> None:
        answer = ask.get(path)
        assert answer.ok, f"{path}: {answer.status} {answer.text()[:300]}"

    return get


def first_log_in(page: Page) -> None:
    page.goto("/")
    log_in(page, "allegro")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("once more").fill(PASSWORD)
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_text("Your new password is saved.")).to_be_visible()


@pytest.mark.long
@pytest.mark.spec("W3", "W4", "W12", "W14")
@pytest.mark.timeout(1800 * PATIENCE)
def test_what_the_page_costs(lab: Lab, tell: Tell, tmp_path: Path) -> None:
    machine = lab.machine
    here = float(subprocess.check_output([sys.executable, "-c", _LOOP]))
    there = float(machine.run(["python3", "-c", _LOOP]).stdout)
    tell(f"the emulated processor is {there / here:.0f} times as slow as this one")
    origin = f"https://127.0.0.1:{machine.forward(443)}"
    with chromium_browser(WAIT_MS, machine.pull("/data/web/certificate.pem").decode()) as browser:
        visitor = Visitor(browser, origin)
        with visitor.window(DESKTOP) as page:
            first_log_in(page)
            idle(page, machine, tell)
            packets(page, machine, tell)
            replace_ring(machine, tmp_path)
            with visitor.window(DESKTOP) as other:
                log_in_page = [got(other.request, "/login")] * REPEATS
                door_s, _ = median_cost_s(machine, log_in_page)
            time_line(page, machine, door_s, tell)


def idle(page: Page, machine: VirtualMachine, tell: Tell) -> None:
    """An open dashboard, beside none."""
    page.goto("/")
    expect(page.locator("#graph-legend li").first).to_be_visible()
    opened, _ = cost_s(machine, lambda: page.wait_for_timeout(OPEN_S * 1000))
    page.goto("about:blank")
    closed, _ = cost_s(machine, lambda: page.wait_for_timeout(OPEN_S * 1000))
    parts = [100 * spent / OPEN_S for spent in (opened, closed)]
    tell(
        "page and supervisor take {:.1f} % of the emulated processor with an open dashboard,"
        " {:.1f} % without".format(*parts)
    )


def packets(page: Page, machine: VirtualMachine, tell: Tell) -> None:
    """The first packets of a file, beside its download: of copies, as a view of a file is kept."""
    content = looking.capture()
    names = [f"{number}.pcapng" for number in range(REPEATS)]
    machine.push(content, f"/data/storage/{names[0]}")
    for name in names[1:]:
        machine.run(f"cp /data/storage/{names[0]} /data/storage/{name}")
    ask = page.request
    _, whole_s = median_cost_s(machine, [got(ask, f"/api/files/{name}") for name in names])
    _, first_s = median_cost_s(machine, [got(ask, f"/packets?file={name}") for name in names])
    tell(
        f"a file of {len(content) / 1e6:.0f} MB: its first packets are there after {first_s:.1f} s,"
        f" its download after {whole_s:.1f} s: ratio {first_s / whole_s:.2f}"
    )
    machine.run("rm /data/storage/?.pcapng")


def time_line(page: Page, machine: VirtualMachine, door_s: float, tell: Tell) -> None:
    """The first picture, and the next ones, beside the page for the log-in."""
    first_s, _ = cost_s(machine, got(page.request, "/capture/timeline"))
    next_s, _ = median_cost_s(machine, [got(page.request, "/capture/timeline")] * REPEATS)
    tell(
        f"{SEGMENTS:,} segments and a day of traffic: the first picture of them takes {first_s:.2f} s of the"
        f" processor, a later one {next_s:.2f} s, the log-in page {door_s:.3f} s:"
        f" ratios {first_s / door_s:.1f} and {next_s / door_s:.1f}"
    )
