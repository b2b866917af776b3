"""What the dashboard says of whether the device is ready."""

from copy import deepcopy
from typing import Any

import pytest

from allegro.web.readiness import readiness
from tests.unit.web.world import World

pytestmark = pytest.mark.spec("W3")

LAST = {"time": "2026-11-21T14:30:05.000000000Z", "key": "next", "presenter": "R400", "job": 7}
PORT = {"role": "measuring", "present": True, "link_up": True}
RUN = {"ended_time": "2026-11-21T02:00:09.000000000Z", "sent": 3, "failed": 0, "error": ""}
READY: dict[str, Any] = {
    "status": {
        "presenters": ["R400"],
        "ring": {"state": "recording", "reach_back_s": 7200.0},
        "firmware": "1.2.3",
        "newer_firmware": "",
        "temperature_c": 51.4,
    },
    "settings": {
        "trigger": {"presenters": [{"name": "R400"}], "before_s": 60, "after_s": 5},
        "export": {"enabled": True, "immediately": False, "time": "02:00"},
    },
    "presenters": {"last_press": LAST},
    "network": {
        "ports": [
            {"name": "mgmt0", "role": "management", "present": True, "link_up": True, "link": ""},
            {"name": "port1", "link": "br1", **PORT},
            {"name": "port2", "link": "br1", **PORT},
            {"name": "port3", "link": "", **PORT},
        ],
        "management": [{"addresses": [{"address": "192.0.2.7/24"}, {"address": "fe80::1/64"}]}],
        "temporary_address": None,
    },
    "clock": {"synchronised": True, "server": "ntp.example", "address": "192.0.2.1"},
    "export": {"server": "me@files.example:22", "problem": "", "last_run": RUN},
}


def told(**changes: Any) -> dict[str, tuple[str, str]]:
    """What is said of a device that is ready but for these values, by their paths (`status.ring.state`)."""
    answers = deepcopy(READY)
    for path, value in changes.items():
        *way, last = path.split("__")
        place: Any = answers
        for name in way:
            place = place[name]
        place[last] = value
    found = readiness(*(answers[name] for name in READY), zone="UTC")
    return {each.name: (each.kind, each.text.replace("\u00a0", " ")) for each in found}


def test_all_is_ready() -> None:
    assert told() == {
        "Presenter": ("good", "R400 is plugged in; last press: next on R400, 2026-11-21 14:30:05 UTC"),
        "Reach back": ("good", "The ring reaches back 2 h; a press takes 1 min before it and 5 s after it"),
        "Links": ("good", "port1 and port2 are one line; port3 only receives"),
        "Clock": ("good", "Kept by the time server ntp.example"),
        "Address": ("good", "192.0.2.7"),
        "Captures": (
            "good",
            "Go to me@files.example:22 each day at 02:00;"
            " the last upload worked: 2026-11-21 02:00:09 UTC, 3 sent",
        ),
        "Firmware": ("good", "1.2.3"),
        "Temperature": ("good", "51 °C"),
    }


@pytest.mark.parametrize(
    ("changes", "name", "kind", "says"),
    [
        ({"settings__trigger__presenters": []}, "Presenter", "warning", "no key triggers"),
        ({"status__presenters": []}, "Presenter", "warning", "None is plugged in; last press: next"),
        ({"presenters__last_press": None}, "Presenter", "good", "no key was pressed yet"),
        ({"status__ring__reach_back_s": 30.0}, "Reach back", "warning", "reaches back 30 s"),
        ({"status__ring__state": "silent"}, "Reach back", "warning", "Nothing is known of the ring"),
        ({"network__ports": []}, "Links", "warning", "no measuring port"),
        (
            {"network__ports": [{"name": "port1", "link": "", **PORT, "link_up": False}]},
            "Links",
            "warning",
            "port1 only receives; no cable",
        ),
        ({"clock__synchronised": False}, "Clock", "warning", "No time server keeps it"),
        ({"network__management": []}, "Address", "off", "have none"),
        (
            {"network__temporary_address": {"address": "192.168.77.1/24"}},
            "Address",
            "good",
            "7, 192.168.77.1",
        ),
        ({"settings__export__enabled": False}, "Captures", "good", "Stay on the device"),
        ({"settings__export__immediately": True}, "Captures", "good", "at once; the last upload worked"),
        ({"export__last_run": None}, "Captures", "good", "nothing was sent since the start"),
        ({"export__last_run": {**RUN, "failed": 1}}, "Captures", "warning", "the last upload did not work"),
        ({"export__problem": "No key."}, "Captures", "warning", "No key."),
        ({"status__newer_firmware": "1.3.0"}, "Firmware", "warning", "version 1.3.0 is on the update server"),
        ({"status__temperature_c": 91.0}, "Temperature", "warning", "91 °C"),
    ],
)
def test_what_somebody_should_see_to(changes: dict[str, Any], name: str, kind: str, says: str) -> None:
    shown = told(**changes)[name]
    assert shown[0] == kind
    assert says in shown[1]


def test_a_machine_without_sensors_says_nothing_of_its_temperature() -> None:
    assert "Temperature" not in told(status__temperature_c=None)


def test_the_dashboard_shows_it(world: World) -> None:
    browser = world.user("viewer")
    for path in ("/", "/dashboard/ready"):
        page = browser.page(path)
        assert "a press takes 1\u00a0min before it" in page
        assert "Stay on the device" in page
