"""The image booted once: tests and demo start from its saved state, within about a second."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.harness.device import Device
from tests.harness.qemu import IMAGE, REPOSITORY, Configuration, SavedState, VirtualMachine, save_diagnosis

_STATES = REPOSITORY / "build" / "vm-state"


def ready(
    configuration: Configuration, diagnosis: Path, before_start: Callable[[], None] = lambda: None
) -> SavedState:
    """The saved state of this machine with the present image; made if it is not there, by one process only.

    `before_start` is called if the machine has to be started for it; logs go to `diagnosis` if that fails.
    Raises BenchError.
    """
    _STATES.mkdir(parents=True, exist_ok=True)
    with _STATES.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = _saved(configuration)
        if not state.complete:
            before_start()
            _boot_and_save(state, diagnosis)
    return state


def prepared(
    name: str,
    recipe: Path,
    ready: SavedState,
    prepare: Callable[[VirtualMachine, Device], None],
    diagnosis: Path,
) -> SavedState:
    """The saved state of a device that `prepare` has brought into the situation `name`.

    It stands on `ready`, from which it is made if it is not there, by one process only; it is made anew when
    the file `recipe` has changed. Logs go to `diagnosis` if that fails. Raises BenchError.
    """
    directory = ready.memory.parent / f"{name}-{hashlib.sha256(recipe.read_bytes()).hexdigest()[:8]}"
    state = replace(SavedState.at(directory, ready.configuration), situation=name)
    with ready.memory.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not state.complete:
            for old in ready.memory.parent.glob(f"{name}-*"):
                shutil.rmtree(old)
            machine = VirtualMachine(directory / "preparing", saved=ready)
            try:
                machine.start()
                device = Device(machine)
                device.wait_ready()
                prepare(machine, device)
                machine.save(state)
            except BaseException:
                save_diagnosis(machine, diagnosis)
                raise
            finally:
                machine.close()
    return state


def _saved(configuration: Configuration) -> SavedState:
    """Where it lies. It holds its image by a link of its own: building another one replaces the file."""
    directory = _STATES / configuration.fingerprint()
    return SavedState.at(directory, replace(configuration, image=directory / configuration.image.name))


def _boot_and_save(state: SavedState, diagnosis: Path) -> None:
    """Boot, wait until all is ready, save the state, and remove those of other images."""
    directory = state.memory.parent
    shutil.rmtree(_STATES, ignore_errors=True)
    directory.mkdir(parents=True)
    _hold(IMAGE, state.configuration.image)
    machine = VirtualMachine(directory / "booting", state.configuration)
    try:
        machine.start()
        Device(machine).wait_ready(ports=state.configuration.ports)
        machine.save(state)
    except BaseException:
        save_diagnosis(machine, diagnosis)
        raise
    finally:
        machine.close()


def _hold(source: Path, target: Path) -> None:
    """Make `target` the same file, or a sparse copy where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        subprocess.run(["cp", "--sparse=always", "--", source, target], check=True)
