"""RAUC's boot loader backend: its questions and wishes, answered by the boot state.

RAUC calls it as `allegro-boot-backend <command> [bootname [state]]` (RAUC reference, "Custom bootloader
backend"): `get-primary` and `get-state` print, `set-primary` and `set-state` change; the exit code is not 0
when that was not possible.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from allegro.errors import AllegroError, InvalidInput
from allegro.firmware import boot_state
from allegro.firmware.boot_state import FACTORY, SLOTS, Slot


def _slot(name: str) -> Slot:
    for slot in SLOTS:
        if name == slot:
            return slot
    if name == FACTORY:
        raise InvalidInput("The factory version is never changed or activated.", place=name)
    raise InvalidInput("There is no such slot.", place=name)


def answer(arguments: Sequence[str], device: Path = boot_state.DEVICE) -> str:
    """Do what RAUC wants and return what is to be printed, or "". Raises AllegroError.

    A slot that may still be tried counts as good for RAUC: it can be started. What has proven good is told by
    the boot state itself.
    """
    state = boot_state.read(device)
    match list(arguments):
        case ["get-primary"]:
            return boot_state.chosen_slot(state)
        case ["set-primary", name]:
            boot_state.write(device, boot_state.activated(state, _slot(name)))
        case ["get-state", "factory"]:
            return "good"
        case ["get-state", name]:
            return "good" if state.slot(_slot(name)).usable else "bad"
        case ["set-state", name, "good"]:
            boot_state.write(device, boot_state.proven(state, _slot(name)))
        case ["set-state", name, "bad"]:
            boot_state.write(device, boot_state.refused(state, _slot(name)))
        case _:
            raise InvalidInput("This command is not known.", place=" ".join(arguments))
    return ""


def main() -> int:
    """Run with the program's arguments; returns the exit code."""
    try:
        text = answer(sys.argv[1:])
    except AllegroError as error:
        print(error, file=sys.stderr)
        return 1
    if text:
        print(text)
    return 0
