"""The console on the monitor and on the serial port."""

import re
import time
from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.harness.terminal import Screen
from tests.harness.waiting import wait_for

DRAWN_S = 90
"""A key that comes too early is lost, but all is drawn again every minute."""

FIRST_WORDS = "The first password of page and WiFi"
"""The only problem of a device that nobody has set up."""


def serial_screen(lab: Lab) -> str:
    """What a terminal on the serial port shows now."""
    screen = Screen(80, 24)
    screen.feed(lab.machine.serial_text())
    return screen.text()


@pytest.mark.spec("N4")
def test_monitor_and_serial_port_show_the_device_and_follow_its_changes(lab: Lab, report: Path) -> None:
    machine, device = lab.machine, lab.device
    status = device.status()
    machine.send_keys("spc")  # draws anew: the saved state's serial log is not ours
    machine.serial_write(b" ")
    expected = (
        status["name"],
        f"Allegro {status['firmware']}",
        "Recording    yes",
        "https://10.0.2.15",
        "1 up  2 up  3 up  4 up",
        status["system_id"],
        "Shift+R",
    )
    wait_for(
        lambda: all(text in serial_screen(lab) for text in expected),
        f"{expected} on the serial port",
        DRAWN_S,
    )
    assert "none plugged in" in serial_screen(lab)
    machine.screenshot(report / "monitor.png")
    (report / "serial.txt").write_text(serial_screen(lab))
    columns, rows = monitor_size(lab)
    assert (columns, rows) == (80, 25), "the large font is not in use"
    assert "Recording    yes" in monitor_text(lab, columns)

    machine.set_link("port2", up=False)
    wait_for(lambda: "2 down" in serial_screen(lab), "the pulled cable", 30)
    device.plug_presenter()
    wait_for(lambda: "Logitech R400" in serial_screen(lab), "the presenter", 30)
    wait_for(lambda: "Logitech R400" in monitor_text(lab, columns), "the presenter on the monitor", 30)


@pytest.mark.spec("N4")
def test_says_so_when_the_supervisor_does_not_answer(lab: Lab, report: Path) -> None:
    machine = lab.machine
    machine.serial_write(b" ")
    wait_for(lambda: FIRST_WORDS in serial_screen(lab), "the first screen", DRAWN_S)
    machine.run("systemctl kill --signal=STOP allegro-supervisor")
    wait_for(lambda: "does not answer" in serial_screen(lab), "the word of the silent supervisor", 60)
    assert "Recording    yes" in serial_screen(lab), "the recorder goes on"
    machine.screenshot(report / "supervisor-down.png")
    machine.run("systemctl kill --signal=CONT allegro-supervisor")
    wait_for(lambda: "does not answer" not in serial_screen(lab), "the supervisor again", 60)


@pytest.mark.spec("N4")
def test_nothing_is_written_while_nothing_changes(lab: Lab) -> None:
    machine = lab.machine
    machine.serial_write(b" ")
    wait_for(lambda: FIRST_WORDS in serial_screen(lab), "the first screen", 30)
    time.sleep(3)
    before = machine.serial_log.stat().st_size
    time.sleep(20)
    written = machine.serial_log.read_bytes()[before:].decode()
    # At most one screen (all of it is drawn once a minute), and the lines that really changed.
    assert written.count("\x1b[2J") <= 1
    assert len(re.findall(r"\x1b\[\d+;1H", written)) <= 24 + 10


def monitor_size(lab: Lab) -> tuple[int, int]:
    rows, columns = lab.machine.run("stty size </dev/tty1").stdout.split()
    return int(columns), int(rows)


def monitor_text(lab: Lab, columns: int) -> str:
    """Characters on tty1 (vcs(4))."""
    shown = lab.machine.run("cat /dev/vcs1").stdout
    return "\n".join(shown[at : at + columns] for at in range(0, len(shown), columns))
