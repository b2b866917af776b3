"""Starts the device again, or switches it off, in order: what runs is told to end first."""

import subprocess
from collections.abc import Callable
from typing import Literal

from allegro.errors import Unavailable

Action = Literal["reboot", "power-off"]

_VERBS: dict[Action, str] = {"reboot": "reboot", "power-off": "poweroff"}
_TIMEOUT_S = 30.0
AFTER_S = 2
"""Time for the answer to whoever asked: the programs that it passes are told to end first of all."""


def power(action: Action, run: Callable[..., object] = subprocess.run) -> None:
    """Asks systemd, and returns before it happens. Raises Unavailable if systemd does not take it."""
    command = ["systemd-run", "--quiet", f"--on-active={AFTER_S}", "systemctl", "--no-block", _VERBS[action]]
    try:
        run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(
            "The device cannot be restarted or switched off by itself.",
            remedy="Switch it off and on by its power switch.",
        ) from error
