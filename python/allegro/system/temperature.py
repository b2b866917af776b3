"""How warm the machine is, as its sensors say.

Linux, Documentation/ABI/testing/sysfs-class-thermal: `thermal_zone*/temp` in thousandths of a degree Celsius.
"""

import contextlib
from pathlib import Path

ZONES = Path("/sys/class/thermal")
_SENSIBLE_C = (-40.0, 150.0)
"""What lies outside is of a sensor that is not there."""


def warmest_c(zones: Path = ZONES) -> float | None:
    """Of the warmest zone in °C; None where none says anything."""
    found = []
    for path in zones.glob("thermal_zone*/temp"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(path.read_text()) / 1000)
    low, high = _SENSIBLE_C
    return max((each for each in found if low < each < high), default=None)
