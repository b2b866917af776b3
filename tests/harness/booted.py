"""The image booted once: tests and demo start from its saved state, within about a second."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from tests.harness.device import Device
from tests.harness.qemu import IMAGE, REPOSITORY, Configuration, SavedState, VirtualMachine, save_diagnosis

_STATES = REPOSITORY / "build" / "vm-state"


def saved(configuration: Configuration) -> SavedState:
    """Where the state of this machine with the present image lies; `complete` tells whether it is there.

    The state holds its image by a link of its own: building another one replaces the file.
    """
    directory = _STATES / configuration.fingerprint()
    return SavedState.at(directory, replace(configuration, image=directory / configuration.image.name))


def boot_and_save(configuration: Configuration, diagnosis: Path) -> SavedState:
    """Boot, wait until all is ready, save the state, and remove those of other images.

    Logs go to `diagnosis` if it fails. Raises BenchError.
    """
    state = saved(configuration)
    directory = state.memory.parent
    shutil.rmtree(_STATES, ignore_errors=True)
    directory.mkdir(parents=True)
    _hold(IMAGE, state.configuration.image)
    machine = VirtualMachine(directory / "booting", state.configuration)
    try:
        machine.start()
        Device(machine).wait_ready(ports=configuration.ports)
        machine.save(state)
    except BaseException:
        save_diagnosis(machine, diagnosis)
        raise
    finally:
        machine.close()
    return state


def _hold(source: Path, target: Path) -> None:
    """Make `target` the same file, or a sparse copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        subprocess.run(["cp", "--sparse=always", "--", source, target], check=True)
