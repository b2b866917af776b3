"""A restart for somebody who cannot log in, because the data partition with the users is not there.

It may help (a disk that was not found in time), and nothing is recorded meanwhile. But it interrupts the
links, and anybody who reaches the page can ask for it; so once in a while only.
"""

import time
from collections.abc import Callable

from allegro.errors import Conflict
from allegro.system.power import Action

BETWEEN_S = 600.0
"""The device has to be up for so long: who cannot log in interrupts its links for a minute in ten at most."""


def up_s() -> float:
    """Seconds since the start of the device."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def restart_without_data(
    data_problem: Callable[[], str], power: Callable[[Action], None], up: Callable[[], float] = up_s
) -> None:
    """Starts the device again. Raises Conflict if its data can be used, or it has only just started."""
    if not data_problem():
        raise Conflict(
            "The device's data can be used, so it is restarted by somebody who has logged in.",
            remedy="If nobody can, switch it off and on, or reset its configuration in the boot menu.",
        )
    if (wait_s := BETWEEN_S - up()) > 0:
        raise Conflict(
            "The device has only just started.", remedy=f"It can be restarted here in {wait_s:.0f} seconds."
        )
    power("reboot")
