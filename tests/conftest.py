"""Fixtures of the tests that run the image in a virtual machine (tests/vm), and what holds for all tests."""

import gc
import math
import os
import re
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest
from xdist.remote import Producer

from tests import timetable
from tests.harness import booted, image_under_test, situations, starts
from tests.harness.device import Device
from tests.harness.ports import FramePort, Port
from tests.harness.powercut import Situation
from tests.harness.qemu import (
    IMAGE,
    REPOSITORY,
    Configuration,
    SavedState,
    VirtualMachine,
    save_diagnosis,
)
from tests.harness.sftp_server import SftpServer
from tests.shares import Shares

# How long an example takes says nothing on a busy machine; pytest's own time limit ends what hangs.
hypothesis.settings.register_profile(
    "allegro", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("allegro")

REPORT = REPOSITORY / "build" / "test-report"
BEGIN_WITH = (
    *(f"tests/vm/test_{name}.py" for name in ("firmware_power_cut", "power_cut")),
    *("tests/host/test_image_reproducible.py", "tests/host/test_dist.py"),
    *(
        f"tests/vm/test_{name}.py"
        for name in (
            *("story", "web_page", "firmware_update", "install_to_disk", "wifi", "bridge"),
            *("firmware_refused", "boot", "boot_menu", "bad_input", "management", "reset", "clock", "growth"),
            *("load", "capture_disk", "watchdog"),
        )
    ),
    *("tests/vm/", "tests/host/", "tests/unit/capture/test_packets_sanitized.py"),
    *("tests/unit/web/", "tests/unit/capture/", "tests/unit/"),
)
"""What takes long comes first, short files last: so workers that run side by side end together."""
MINUTES = float(os.environ.get("MINUTES") or "inf")
"""After so many no further test begins (`make test MINUTES=…`): for machines that end a run by the clock."""
_failed = pytest.StashKey[bool]()
_BEGAN = time.monotonic()
_TOLD = "told"
_STARTED = "machines started"


class Tell(Protocol):
    """Says something that was measured. It depends on the host, so no test judges it."""

    def __call__(self, text: str) -> None: ...


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """What is told stands in the summary at the end of the run."""
    return lambda text: record_property(_TOLD, text)


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make test` adds."""
    parser.addoption("--timetable", action="store_true", help="show where the time of the run went")
    parser.addoption("--machines", type=int, help="how many of the workers may start virtual machines")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Shows what the tests tell, and where the time went."""
    reports = [
        report
        for each in terminalreporter.stats.values()
        for report in each
        if isinstance(report, pytest.TestReport)
    ]
    told = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for report in reports
        for name, text in report.user_properties
        if name == _TOLD and report.when == "call"
    ]
    if told:
        terminalreporter.section("measured on this machine")
        for line in told:
            terminalreporter.line(line)
    if config.getoption("--timetable"):
        parts = [
            timetable.Part(report.nodeid, report.duration, getattr(report, "worker_id", ""))
            for report in reports
        ]
        machines = [
            timetable.MachineStart(kind, seconds, tuple(anew))
            for report in reports
            for name, value in report.user_properties
            if name == _STARTED
            for kind, seconds, anew in value  # type: ignore[attr-defined]  # what _started made
        ]
        terminalreporter.section("where the time went")
        for line in timetable.table(parts, machines, time.monotonic() - _BEGAN):
            terminalreporter.line(line)


def _started() -> list[tuple[str, float | None, list[str]]]:
    """The machines started since it was asked last; plain values, as they go from worker to controller."""
    return [(start.kind, start.seconds, start.anew) for start in starts.take()]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: looking through it for garbage again and again is a tenth of
    what the unit tests take."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where the time may not last, what is short comes first: it tells more in the time there is."""
    put_in_order(items, long_first=math.inf == MINUTES)


def put_in_order(items: list[pytest.Item], *, long_first: bool) -> None:
    """Puts the tests in the order of BEGIN_WITH, or the other way round; those of a file stay as they are."""
    items.sort(key=lambda item: _rank(item.nodeid), reverse=not long_first)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Does not begin what the time of this run does not suffice for; the summary names each."""
    if (time.monotonic() - _BEGAN) / 60 > MINUTES:
        pytest.skip(f"not begun: the {MINUTES:g} minutes of this run are over")


def _rank(test: str) -> int:
    return next((place for place, begin in enumerate(BEGIN_WITH) if test.startswith(begin)), len(BEGIN_WITH))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares:
    """Used by all runs with several workers (pytest-xdist, "Hooks")."""
    return Shares(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The fixtures below ask whether their test failed; the table wants to know what was started."""
    report = yield
    if call.when in ("setup", "call") and call.excinfo is not None:
        item.stash[_failed] = True
    if call.when == "teardown" and (started := _started()):
        report.user_properties.append((_STARTED, started))
    return report


def pytest_report_header() -> str:
    """Name the image that the VM tests run."""
    return f"image: {IMAGE} ({image_under_test.DESCRIPTION or 'there is none yet'})"


@dataclass(frozen=True)
class Lab:
    """A running device: the machine, its API, and the cables of its measuring ports as raw frames."""

    machine: VirtualMachine
    device: Device
    ports: list[FramePort]


class StartLab(Protocol):
    """Starts a machine that ends with the test. Without `boot` it goes on from the saved `situation`."""

    def __call__(
        self,
        *,
        cables: int = 2,
        ports: list[Port] | None = None,
        management: Port | None = None,
        sound: bool = False,
        boot: bool = False,
        configuration: Configuration | None = None,
        situation: Situation = "ready",
    ) -> Lab: ...


@pytest.fixture(scope="session")
def configuration() -> Configuration:
    """The machine that nearly all tests use."""
    if os.geteuid() != 0:
        pytest.fail("the VM tests need root: sudo make test")
    if not IMAGE.exists():
        pytest.fail(f"there is no image at {IMAGE}: make vm")
    return Configuration()


@pytest.fixture(scope="session")
def saved_state(configuration: Configuration) -> SavedState:
    """The image booted and ready, frozen; made once per image and kept for later sessions."""
    return booted.ready(configuration, REPORT / "saved-state")


@pytest.fixture
def start_lab(
    request: pytest.FixtureRequest, configuration: Configuration, tmp_path: Path
) -> Iterator[StartLab]:
    """Start machines; on failure their logs and screens go to build/test-report/<test>."""
    started: list[VirtualMachine] = []

    def start(
        *,
        cables: int = 2,
        ports: list[Port] | None = None,
        management: Port | None = None,
        sound: bool = False,
        boot: bool = False,
        configuration: Configuration | None = None,
        situation: Situation = "ready",
    ) -> Lab:
        frame_ports = [FramePort() for _ in range(cables)] if ports is None else []
        saved: SavedState | None = None
        if not boot:
            assert configuration is None, "a saved state has the standard configuration"
            ready = request.getfixturevalue("saved_state")
            saved = situations.state(situation, ready, REPORT / "situation")
        machine = VirtualMachine(
            tmp_path / f"machine-{len(started)}",
            None if saved else configuration or Configuration(),
            frame_ports if ports is None else ports,
            saved=saved,
            management=management,
            sound=sound,
        )
        started.append(machine)
        machine.start()
        device = Device(machine)
        device.wait_ready()
        return Lab(machine, device, frame_ports)

    yield start
    for number, machine in enumerate(started):
        if request.node.stash.get(_failed, False):
            name = re.sub(r"[^\w.-]+", "_", request.node.nodeid.removeprefix("tests/vm/"))
            save_diagnosis(machine, REPORT / name / str(number))
        machine.close()
        machine.remove_disks()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Path:
    """A folder for what a test shows to people, such as screenshots; kept in build/test-report."""
    directory = REPORT / "shown" / re.sub(r"[^\w.-]+", "_", request.node.nodeid.removeprefix("tests/vm/"))
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture
def lab(start_lab: StartLab) -> Lab:
    """A running device with cables in ports 1 and 2."""
    return start_lab()


@pytest.fixture
def device(lab: Lab) -> Device:
    """The API of a running device."""
    return lab.device


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[SftpServer]:
    """A real OpenSSH server, running."""
    with SftpServer(tmp_path / "sftp") as server:
        yield server


@pytest.fixture
def export_to_sftp(lab: Lab, sftp: SftpServer) -> Callable[..., None]:
    """Set the device up to upload to `sftp`, its host key pinned; keyword arguments change the settings."""

    def configure(**changes: object) -> None:
        settings = {
            "enabled": True,
            "host": "10.0.2.2",
            "port": sftp.port,
            "username": sftp.user,
            "authentication": "password",
            "password": sftp.password,
            "directory": sftp.start_directory,
            "host_key": sftp.fingerprint,
        }
        lab.device.set({"export": settings | changes})

    return configure
