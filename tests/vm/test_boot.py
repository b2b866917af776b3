"""The image starts by itself by BIOS, and how long that takes. By UEFI it does in test_install_to_disk.py."""

import time

import pytest

from tests.conftest import StartLab, Tell
from tests.harness.agent import injection
from tests.harness.qemu import Configuration, VirtualMachine
from tests.harness.waiting import wait_for

PROGRAMS = ("allegro-recorder", "allegro-supervisor", "allegro-web")
OURS = (*PROGRAMS, "allegro-prepare", "allegro-console", "allegro-confirm", "allegro-started")


@pytest.mark.spec("I3", "I5", "L1", "L3")
def test_every_unit_has_started(start_lab: StartLab, tell: Tell) -> None:
    """Without a frame of the device's own at a measuring port. Time and memory are only told."""
    began = time.monotonic()
    lab = start_lab(boot=True, configuration=Configuration(), cables=4)
    wait_for(lambda: _active(lab.machine, *PROGRAMS), "all programs", 240)
    tell(f"from power-on to recording and page {time.monotonic() - began:.0f} s")
    lab.machine.set_link("port1", False)
    wait_for(lambda: _active(lab.machine, "multi-user.target"), "the end of the start", 240)
    assert lab.machine.run("systemctl list-units --failed --plain --no-legend").stdout == ""
    memory = lab.machine.run(["python3", "-I", "-c", _MEMORY, *OURS]).json()
    tell("idle memory (PSS): " + ", ".join(f"{name} {size / 1024:.1f} MiB" for name, size in memory.items()))
    lab.machine.set_link("port1", True)
    time.sleep(15)  # duplicate address detection, router solicitations and the like would have come
    assert [port.frames() for port in lab.ports] == [[], [], [], []]


@pytest.mark.long
@pytest.mark.spec("I3")
def test_our_programs_add_little_to_the_start(start_lab: StartLab, tell: Tell) -> None:
    """Compared with the same system without them; only told."""
    began = time.monotonic()
    lab = start_lab(boot=True, configuration=Configuration())
    wait_for(lambda: _active(lab.machine, *PROGRAMS), "all programs", 240)
    whole = time.monotonic() - began

    without_ours = injection(
        drop_ins={f"{name}.service": "[Unit]\nConditionPathExists=/nonexistent\n" for name in OURS}
    )
    machine = VirtualMachine(lab.machine.directory / "bare", Configuration(injection=without_ours))
    try:
        began = time.monotonic()
        machine.start()
        machine.wait_agent()
        wait_for(lambda: _active(machine, "multi-user.target"), "the end of the bare system's start", 240)
        bare = time.monotonic() - began
        assert not _active(machine, PROGRAMS[0])
    finally:
        machine.close()
        machine.remove_disks()
    tell(
        f"from power-on to recording and page {whole:.0f} s; the same system without our services"
        f" {bare:.0f} s, ratio {whole / bare:.1f}"
    )


def _active(machine: VirtualMachine, *units: str) -> bool:
    return machine.run(["systemctl", "is-active", "--quiet", *units], check=False).returncode == 0


_MEMORY = """
import json, pathlib, re, subprocess, sys
found = {}
for unit in sys.argv[1:]:
    show = ["systemctl", "show", "--property=ControlGroup", "--value", unit]
    group = subprocess.run(show, capture_output=True, text=True).stdout.strip()
    for processes in sorted(pathlib.Path("/sys/fs/cgroup" + group).rglob("cgroup.procs")) if group else ():
        for process in map(pathlib.Path("/proc").joinpath, processes.read_text().split()):
            words = (process / "cmdline").read_text().split(chr(0))
            name = next((word[8:] for word in words if word.startswith("allegro.")), words[0])
            for mapping in re.split("(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", (process / "smaps").read_text())[1:]:
                if " socket:[" not in mapping:
                    found[name] = found.get(name, 0) + int(re.search("Pss: +([0-9]+) kB", mapping)[1])
print(json.dumps(found))
"""
"""Proportional set size in KiB (proc(5), smaps) of the processes of units, by our module or the program.

Without the buffers that the recorder shares with the kernel: they are as large as the settings say.
"""
