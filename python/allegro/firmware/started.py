"""Tells the boot state that the system has come up: run once, by allegro-started.service."""

from __future__ import annotations

import sys
from pathlib import Path

from allegro.errors import AllegroError
from allegro.firmware import boot_state


def note_start(device: Path = boot_state.DEVICE, command_line: Path = boot_state.COMMAND_LINE) -> None:
    """End the counting of starts, and write damaged copies of the boot state again. Raises AllegroError."""
    reading = boot_state.examine(device)
    slot = boot_state.running(command_line)
    state = boot_state.come_up(reading, slot)
    if state is None:
        return
    boot_state.write(device, state)
    if reading.lost:
        print(f"The boot state was damaged and is written anew; {state.primary} starts next.", flush=True)
    elif reading.damaged:
        print(f"Copy {reading.damaged[0] + 1} of the boot state was damaged and is written anew.", flush=True)


def main() -> int:
    """Run; returns the exit code."""
    try:
        note_start()
    except AllegroError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
