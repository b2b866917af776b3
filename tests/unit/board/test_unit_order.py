"""What has to come before recording and the page: nothing that could come later."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.spec("I3")

UNITS = Path(__file__).resolve().parents[3] / "rootfs_overlay/usr/lib/systemd/system"


def ordered(name: str, word: str) -> set[str]:
    lines = (UNITS / name).read_text().splitlines()
    return {unit for line in lines if line.startswith(f"{word}=") for unit in line.partition("=")[2].split()}


@pytest.mark.parametrize(
    ("unit", "before_it"),
    [
        ("allegro-recorder.service", {"data.mount", "allegro-prepare.service"}),
        ("allegro-web.service", {"data.mount", "allegro-prepare.service"}),
        ("allegro-supervisor.service", {"allegro-prepare.service", "dbus.socket"}),
    ],
)
def test_only_what_they_use_comes_before_recording_and_page(unit: str, before_it: set[str]) -> None:
    assert ordered(unit, "After") == before_it


def test_nothing_of_ours_holds_up_recording_or_page_but_what_prepares_them() -> None:
    first = {"allegro-recorder.service", "allegro-web.service", "allegro-supervisor.service"}
    holding = {file.name for file in UNITS.glob("allegro-*.service") if ordered(file.name, "Before") & first}
    assert holding == {"allegro-prepare.service"}


def test_what_nobody_waits_for_gives_way_at_the_start() -> None:
    """Ordered behind them it would not show what hangs, or not judge it: it only gets what they leave."""
    nice = {
        name: int(next(iter(ordered(f"allegro-{name}.service", "Nice")), "0"))
        for name in ("recorder", "supervisor", "web", "console", "confirm", "started")
    }
    assert nice["recorder"] < nice["supervisor"] < nice["web"]
    assert nice["web"] < min(nice["console"], nice["confirm"], nice["started"])
