"""A day in an hour: everything that happens to a device, again and again, and at the end all of it is true.

`make soak TESTS=tests/vm/test_a_day.py DAY_MINUTES=12` is a shorter day: memory is not judged in it.
"""

import itertools
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab, Tell
from tests.harness import log_lines, memory, situations, updating
from tests.harness.bundle_maker import BundleMaker
from tests.harness.captures import check
from tests.harness.log_lines import Explained
from tests.harness.numbered import LATE_S, Sent, faults
from tests.harness.sending import FrameStream
from tests.harness.sftp_server import SftpServer
from tests.harness.usb_disk import UsbDisk
from tests.harness.waiting import PATIENCE, wait_for

MINUTES = float(os.environ.get("DAY_MINUTES") or 60)
SERIES, RATE, SIZE = 17, 40.0, 200
BEFORE_S, AFTER_S = 90, 5
STICK_ID = "0d15c0de-0000-4000-8000-00000000a11e"
STICK_SIZE = 256 << 20
SETTLED_S, MOST_GROWTH = 600.0, 0.02

_PULLED = (
    r"device offline error, dev sd\w+, .*|Buffer I/O error on dev sd\w+, .*"
    r"|JBD2: I/O error when updating journal superblock for sd\S+"
    r"|EXT4-fs \(sd\w+\): (shut down requested|I/O error while writing superblock|recovery complete).*"
    r"|EXT4-fs (error|warning) \(device sd\w+\).*|Aborting journal on device sd\S+"
    r"|sd \S+ \[sd\w+\] (Synchronize Cache\(10\) failed: .*|Mode Sense: .*|No Caching mode page found"
    r"|Assuming drive cache: .*)|sd \S+ Power-on or device reset occurred"
)
_EMULATED = (
    r"tsc: Unable to calibrate against PIT|APIC calibration not consistent with PM-Timer: .*"
    r"|mtrr: your CPUs had inconsistent .*|amd_pstate: the _CPC object is not present .*"
    r"|tsc: PIT calibration deviates from HPET: .*|hrtimer: interrupt took \d+ ns"
    r"|clocksource: .*|Unstable clock detected, switching default tracing clock .*"
)
_BUILT = r"device-mapper: core: CONFIG_IMA_DISABLE_HTABLE is disabled\. .*"
_NO_KEYS = r"event\d+: Failed to call EVIOCSKEYCODE with scan code 0x700(29|37|3e), .*"
EXPLAINED = (
    Explained("kernel", _EMULATED, "QEMU's processor"),
    Explained("(udev-worker)", _NO_KEYS, "systemd's table of keys goes to the receiver's mouse, too"),
    Explained("kernel", _BUILT, "how Debian's kernel is built"),
    Explained("kernel", _PULLED, "the stick is pulled out while it is in use"),
    Explained("allegro-recorder", r"(WARNING )?the clock was set by -?\d+\.\d+ s", "the clock is set"),
    Explained("allegro-supervisor", r"The disk for captures was pulled", "the stick is pulled out"),
    Explained(
        "allegro-supervisor", r"Captures do not get to the disk .*: It is not plugged in\. .*", "as told"
    ),
    Explained("allegro-supervisor", r"Upload of \S+Z_presenter_next\.pcapng.*: .*", "the server is away"),
    Explained("allegro-supervisor", r"\S+\.pcapng could not be uploaded to the server: .*", "as told"),
    Explained("allegro-supervisor", r"The daily look for new firmware failed: .*", "no server at that time"),
    Explained("allegro-supervisor", r"The first password of page and WiFi is in force: .*", "nobody set it"),
)


@dataclass
class Day:
    """What happened so far. Each event is a method; all that it changes is as before when it ends, but for
    the server, the update, and what was captured."""

    lab: Lab
    sftp: SftpServer
    stick: UsbDisk
    stream: FrameStream
    maker: BundleMaker
    folder: Path
    site: str
    tell: Tell
    pressed: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Between which moments (time.monotonic()) the device was asked for each capture, by its id."""
    on_stick: list[int] = field(default_factory=list)
    samples: list[dict[str, tuple[int, int]]] = field(default_factory=list)
    """Of the memory since the first ten minutes of a start of the device."""
    log: list[str] = field(default_factory=list)

    # -- events

    def press(self) -> None:
        """A key of the presenter: the capture goes to the server."""
        before = self.lab.device.last_job()
        moment = time.monotonic()
        self.lab.machine.presenter.press("next")
        wait_for(lambda: self.lab.device.last_job() > before, "the capture of a press", 30, 0.5)
        self.pressed[self.lab.device.last_job()] = (moment, time.monotonic())

    def capture_to_stick(self) -> None:
        """By the API; it ends before anything else happens."""
        moment = time.monotonic()
        number = self.lab.device.trigger(target="storage")["id"]
        self.pressed[number] = (moment, time.monotonic())
        self.on_stick.append(number)
        self.lab.device.wait_job(number)

    def server_goes(self) -> None:
        self.sftp.stop()

    def server_comes(self) -> None:
        self.sftp.start()

    def cable(self) -> None:
        """Pulled out for some seconds."""
        self.lab.machine.set_link("port1", False)
        wait_for(lambda: not self._port1()["link_up"], "port 1 without a link", 30, 0.5)
        time.sleep(5)
        self.lab.machine.set_link("port1", True)
        wait_for(lambda: self._port1()["link_up"], "the link of port 1", 30, 0.5)

    def disk(self) -> None:
        """The stick is pulled out while a capture is to go there, which does when it is plugged in again."""
        self.stick.pull()
        wait_for(lambda: "capture-disk" in self.lab.device.problems(), "the pulled stick in the problems", 30)
        self.capture_to_stick()
        assert self._where(self.on_stick[-1]) == ["storage"]
        self.stick.plug()
        wait_for(lambda: self._where(self.on_stick[-1]) == ["disk"], "the capture on the stick", 60, 1)

    def clock(self) -> None:
        """A press, the clock is set forward, a press, and it is set back."""
        for by in (timedelta(hours=1), timedelta(hours=-1)):
            self.press()
            self.set_clock(by)

    def presenter(self) -> None:
        """Pulled out and plugged in again."""
        self.lab.machine.presenter.unplug()
        wait_for(lambda: not self.lab.device.status()["presenters"], "no presenter", 30, 0.5)
        self.lab.device.plug_presenter(60)

    def look(self) -> None:
        """What the page and other programs ask for."""
        for path in ("/files", "/export", "/disks", "/firmware", "/settings", "/time"):
            self.lab.device.get(path)
        command = ["curl", "--silent", "--show-error", "--insecure", "--fail", "--max-time", "120"]
        subprocess.run([*command, "--output", "/dev/null", f"{self.site}/login"], check=True)

    def update(self) -> None:
        """The next version is downloaded, installed and started while packets come in."""
        device = self.lab.device
        bundle = self.maker.version(situations.NEXT)
        updating.bring(device, bundle, situations.NEXT, self.maker.keys)
        updating.follow(device, "/firmware/install", {"name": bundle.name}, 900)
        self.end_of_a_start()
        updating.activate(device, "slot-b")
        updating.wait_confirmed(device, situations.NEXT, "slot-b")
        device.wait_ready()
        wait_for(lambda: device.status()["presenters"], "the presenter after the restart", 60, 1)

    # -- besides

    def set_clock(self, by: timedelta | None) -> None:
        """By hand, as the page does; None: to the time of the bench."""
        now = datetime.fromisoformat(self.lab.device.get("/time")["time"])
        wanted = datetime.now(UTC) if by is None else now + by
        self.lab.device.api("PUT", "/time", {"time": wanted.isoformat()})

    def end_of_a_start(self) -> None:
        """What the log of this start of the device says, and how memory grew in it."""
        self.log += log_lines.unexplained(log_lines.read(self.lab.machine), EXPLAINED)
        if len(self.samples) < memory.FEWEST:
            self.tell(f"memory is not judged: {MINUTES:g} minutes are too short for that")
            self.samples.clear()
            return
        for kind, at in (("memory", 0), ("memory of its own", 1)):
            sizes = [{name: float(each[at]) for name, each in one.items()} for one in self.samples]
            self.log += [f"{kind}, KiB: {words}" for words in memory.grown(sizes, MOST_GROWTH)]
            shown = (f"{name} {sizes[0][name]:g} to {sizes[-1].get(name, 0):g}" for name in sizes[0])
            self.tell(f"{kind}, KiB: {', '.join(shown)}")
        self.samples.clear()

    def files(self) -> dict[int, Path]:
        """Every capture's file, from where it has to be, on the bench."""
        device, machine = self.lab.device, self.lab.machine
        device.post("/export/now")
        wait_for(lambda: not device.get("/export")["queue"], "an empty upload directory", 300, 2)
        jobs = {job["id"]: job for job in device.jobs()}
        assert set(jobs) == set(self.pressed)
        assert {job["state"] for job in jobs.values()} == {"complete"}, list(jobs.values())
        supervisor = machine.run("systemctl show --value -P MainPID allegro-supervisor").stdout.strip()
        found = {}
        for number, job in jobs.items():
            found[number] = self.sftp.root / job["file"]
            if number in self.on_stick:
                assert self._where(number) == ["disk"]
                found[number] = self.folder / job["file"]
                on_stick = f"/proc/{supervisor}/root/run/allegro/disk/allegro/{job['file']}"
                found[number].write_bytes(machine.pull(on_stick))
        uploaded = {path.name for path in found.values()} - {jobs[number]["file"] for number in self.on_stick}
        assert set(self.sftp.files()) == uploaded
        return found

    def _port1(self) -> dict[str, Any]:
        ports: list[dict[str, Any]] = self.lab.device.status()["ring"]["ports"]
        return next(port for port in ports if port["name"] == "port1")

    def _where(self, number: int) -> list[str]:
        name = self.lab.device.get(f"/jobs/{number}")["file"]
        return [file["directory"] for file in self.lab.device.get("/files") if file["name"] == name]


Event = Callable[[Day], None]

TEN_MINUTES: tuple[tuple[float, Event], ...] = (
    (0.5, Day.press),
    (1.0, Day.look),
    (1.5, Day.server_goes),
    (2.0, Day.press),
    (3.0, Day.cable),
    (4.0, Day.press),
    (4.5, Day.capture_to_stick),
    (5.0, Day.disk),
    (6.0, Day.server_comes),
    (7.0, Day.clock),
    (8.5, Day.presenter),
    (9.5, Day.press),
)
"""Minute and event; each comes once at least."""


def tens(minutes: float) -> tuple[int, float]:
    """How often the ten minutes come in each half of a day so long, and how many seconds they take then.

    Three times in half an hour; at least once, in a shorter time if need be.
    """
    half_s = minutes * 60 / 2
    times = max(1, int(half_s / 600))
    return times, half_s / times


def live(day: Day, times: int, ten_s: float) -> None:
    """Half a day, event after event; one that comes late is made up for at once.

    Memory is looked at before each event, when what a program takes to do something first has been taken.
    """
    began = time.monotonic()
    for ten, (minute, event) in itertools.product(range(times), TEN_MINUTES):
        time.sleep(max(0.0, began + (ten + minute / 10) * ten_s - time.monotonic()))
        if time.monotonic() - began > SETTLED_S:
            day.samples.append(memory.sample(day.lab.machine))
        event(day)


@pytest.mark.long
@pytest.mark.spec("R5", "R6", "R9", "T1", "T2", "T6", "X1", "X3", "W5", "U1", "U2")
@pytest.mark.timeout((MINUTES + 60) * 60 * PATIENCE)
def test_a_day_in_an_hour(
    lab: Lab, sftp: SftpServer, export_to_sftp: Callable[..., None], tmp_path: Path, tell: Tell
) -> None:
    device = lab.device
    stick = UsbDisk(lab.machine, tmp_path / "stick.img", 4)
    stick.make_ext4(STICK_ID, STICK_SIZE)
    stick.plug()
    export_to_sftp(immediately=True)
    device.set({"trigger": {"before_s": BEFORE_S, "after_s": AFTER_S, "debounce_ms": 0}})
    wait_for(
        lambda: [each["uuid"] for each in device.get("/disks")["volumes"] if not each["objection"]],
        "the stick in the list",
        30,
    )
    assert device.api("PUT", "/disks/chosen", {"uuid": STICK_ID})["used"]
    device.plug_presenter()
    stream = FrameStream(lab.ports[0], SERIES, RATE, SIZE)
    site = f"https://127.0.0.1:{lab.machine.forward(443)}"
    day = Day(lab, sftp, stick, stream, BundleMaker(), tmp_path, site, tell)
    day.maker.version(situations.NEXT)
    day.set_clock(None)
    with stream:
        began = time.monotonic()
        live(day, *tens(MINUTES))
        day.update()
        live(day, *tens(MINUTES))
        device.wait_jobs(len(day.pressed), 300)
        time.sleep(2 * LATE_S)
        ended = time.monotonic()
        whole = device.trigger(before_s=int(ended - began) + 120, after_s=0, target="storage")["id"]
        day.pressed[whole] = (ended, time.monotonic())
        day.on_stick.append(whole)
        device.wait_job(whole, 600)
    wait_for(lambda: day._where(whole) == ["disk"], "the capture of the whole day on the stick", 120, 2)
    day.end_of_a_start()

    sent = Sent(SERIES, SIZE, "port1", stream.moments)
    found = day.files()
    for number, path in found.items():
        asked, seen = day.pressed[number]
        before_s, after_s = (seen - began, 0) if number == whole else (BEFORE_S, AFTER_S)
        must = sent.between(max(seen - before_s, began) + LATE_S, asked + after_s - LATE_S)
        may = sent.between(asked - before_s - LATE_S, seen + after_s + LATE_S)
        capture = check(path, clock_set_back=None)
        day.log += [f"{path.name}: {words}" for words in faults(capture, sent, must, may, (asked, seen))]
    tell(f"{len(found)} captures of {stream.sent} packets are true")
    assert day.log == [], "\n".join(day.log)
    assert device.problems() == []
    device.api("POST", "/disks/remove")
    stick.pull()
