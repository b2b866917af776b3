"""How much of the system each of our programs could reach, as systemd itself judges its unit.

`systemd-analyze security` of the image's own systemd, in the base of the development image.
"""

import re
import subprocess

import pytest

from tests.harness.qemu import REPOSITORY

UNITS = REPOSITORY / "rootfs_overlay/usr/lib/systemd/system"
BASE = REPOSITORY / "build/vm/work"

MOST = {
    "allegro-packets@": 0.3,
    "allegro-web": 1.8,
    "allegro-recorder": 1.9,
    "allegro-started": 2.0,
    "allegro-console": 2.1,
    "allegro-wifi-access-point": 2.1,
    "allegro-wifi-client": 2.1,
    "allegro-wifi-dhcp": 2.1,
    "allegro-disk-health": 3.0,
    "allegro-confirm": 4.3,
    "allegro-supervisor": 4.5,
    "allegro-prepare": 7.0,
    "allegro-reset": 7.0,
}
"""Exposure by systemd-analyze(1), from 0 (reaches nothing) to 10."""

INSIDE = """
mount --bind "$2" "$1/mnt"
mount -t proc proc "$1/proc"
exec chroot "$1" systemd-analyze security --offline=yes --no-pager "/mnt/$3"
"""


def test_every_unit_has_its_limit() -> None:
    assert {unit.stem for unit in UNITS.glob("allegro-*.service")} == set(MOST)


@pytest.mark.spec("S8")
@pytest.mark.parametrize("unit", MOST)
def test_a_program_reaches_no_more_than_it_needs(unit: str) -> None:
    (base,) = BASE.glob("base-" + "[0-9a-f]" * 16)
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", INSIDE, "sh"]
    done = subprocess.run(
        [*command, str(base), str(UNITS), f"{unit}.service"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = re.search(rf"Overall exposure level for {unit}\w*.service: (\d+\.\d+)", done.stdout)
    assert told, done.stdout
    assert float(told[1]) <= MOST[unit], done.stdout
