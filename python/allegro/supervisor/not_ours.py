"""What stands for the device where the supervisor runs on the machine of somebody, which is left alone."""

from collections.abc import Sequence

from allegro.errors import Unavailable
from allegro.storage.disks import Disk
from allegro.system.power import Action


def no_recorder() -> None:
    """Raises Unavailable."""
    raise Unavailable("This program does not control the recorder.")


def no_power(_action: Action) -> None:
    """Raises Unavailable."""
    raise Unavailable("The supervisor runs on somebody's machine, which is not ours to switch off.")


def no_disks() -> Sequence[Disk]:
    """None: those of somebody's machine are not ours to format."""
    return ()


def no_clock(_wanted_ns: int) -> None:
    """Raises Unavailable."""
    raise Unavailable("The supervisor runs on somebody's machine, whose clock is not ours to set.")
