"""What the units of systemd promise of a device whose data partition is broken."""

from pathlib import Path

import pytest

UNITS = Path(__file__).parents[3] / "rootfs_overlay/usr/lib/systemd/system"


def values(unit: str, name: str) -> list[str]:
    """All words of all lines `name=`."""
    lines = (UNITS / unit).read_text().splitlines()
    return [word for line in lines if line.startswith(f"{name}=") for word in line.partition("=")[2].split()]


@pytest.mark.spec("S2")
@pytest.mark.parametrize(
    "unit", ["allegro-prepare.service", "allegro-recorder.service", "allegro-web.service"]
)
def test_the_data_partition_is_waited_for_but_not_required(unit: str) -> None:
    assert "data.mount" in values(unit, "After")
    assert "data.mount" in values(unit, "Wants")
    assert "/data" not in values(unit, "RequiresMountsFor")
    assert "data.mount" not in values(unit, "Requires") + values(unit, "BindsTo")


def test_the_recorder_starts_without_its_folder() -> None:
    assert values("allegro-recorder.service", "ReadWritePaths") == [
        "-/data/ring",
        "-/run/allegro/ring",
        "-/run/allegro/ring-disk",
    ]


def test_ports_are_not_named_anew_on_a_running_device() -> None:
    assert values("allegro-prepare.service", "Restart") == []
