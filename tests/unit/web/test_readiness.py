"""What the dashboard says of whether the device is ready."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any

import pytest

from allegro.errors import Unavailable
from allegro.system.health import Problem
from allegro.web import device_readiness
from allegro.web.backend import Backend
from allegro.web.readiness import readiness
from tests.unit.web.world import World

pytestmark = pytest.mark.spec("W3")

LAST = {"time": "2026-11-21T14:30:05.000000000Z", "key": "next", "presenter": "R400", "job": 7}
PORT = {"role": "measuring", "present": True, "link_up": True}
ON_THE_DEVICE = {"settings__export__enabled": False}
RUN = {"ended_time": "2026-11-21T02:00:09.000000000Z", "sent": 3, "failed": 0, "error": ""}
READY: dict[str, Any] = {
    "status": {
        "presenters": ["R400"],
        "ring": {"state": "recording", "message": "", "reach_back_s": 7200.0, "in_memory_since": None},
        "problems": [],
        "firmware": "1.2.3",
        "newer_firmware": "",
        "temperature_c": 51.4,
    },
    "settings": {
        "trigger": {"presenters": [{"name": "R400"}], "before_s": 60, "after_s": 5},
        "export": {"enabled": True, "immediately": False, "time": "02:00"},
        "storage": {"device": ""},
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
        "addresses_unknown_since": None,
    },
    "time": {"synchronised": True, "server": "ntp.example", "address": "192.0.2.1"},
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
    found = readiness(answers, zone="UTC")
    return {each.name: (each.kind, each.text.replace("\u00a0", " ")) for each in found}


def problem(name: str, text: str) -> dict[str, str]:
    return {"id": name, "severity": "error", "text": text, "remedy": ""}


def test_all_is_ready() -> None:
    assert told() == {
        "Press": ("good", "Nothing is known that keeps it from being captured"),
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
        ({"status__ring__reach_back_s": 62.0}, "Reach back", "warning", "reaches back"),
        (
            {"status__ring__state": "silent", "status__ring__message": "It has not been heard of."},
            *("Reach back", "warning", "It has not been heard of; a press takes 1 min"),
        ),
        (
            {"status__ring__state": "no-ring", "status__ring__message": "The disk is full."},
            *("Reach back", "warning", "The disk is full; a press takes"),
        ),
        ({"status__ring__state": "no-ring"}, "Reach back", "warning", "There is no packet ring buffer; a"),
        ({"status__ring__state": "starting"}, "Reach back", "warning", "Recording starts; a press takes"),
        (
            {"status__ring__in_memory_since": "2026-11-21T14:30:05.000000000Z"},
            *("Reach back", "warning", "The ring, which is in memory only, reaches back 2 h"),
        ),
        (
            {"status__problems": [problem("presenter", "The keys of R400 cannot be read: taken.")]},
            *("Presenter", "warning", "The keys of R400 cannot be read: taken; last press: next"),
        ),
        (
            {
                "status__presenters": [],
                "status__problems": [problem("part-usb-presenter", "The USB presenter does not work: x.")],
            },
            *("Presenter", "warning", "The USB presenter does not work: x; last press"),
        ),
        (
            {"status__problems": [problem("capture-disk", "The disk is away.")], **ON_THE_DEVICE},
            *("Captures", "warning", "The disk is away."),
        ),
        (
            {"status__problems": [problem("uploads-fail", "a.pcapng could not be uploaded.")]},
            *("Captures", "warning", "02:00; a.pcapng could not be uploaded."),
        ),
        (
            {"settings__storage__device": "5f3a-stick", **ON_THE_DEVICE},
            *("Captures", "good", "Go to the disk that was chosen for them"),
        ),
        ({"network__ports": []}, "Links", "warning", "no measuring port"),
        (
            {
                "network__ports": [
                    {"name": "port1", "link": "br1", **PORT},
                    {"name": "port2", "link": "br1", **PORT, "link_up": False},
                    {"name": "port3", "link": "", **PORT, "link_up": False},
                ]
            },
            *("Links", "warning", "port1 and port2 are one line; port3 only receives; no link on port2"),
        ),
        (
            {
                "network__ports": [
                    {"name": "port1", "link": "", **PORT},
                    {"name": "port2", "link": "", **PORT, "link_up": False},
                ]
            },
            *("Links", "good", "port1 only receives; port2 only receives"),
        ),
        (
            {"network__ports": [{"name": "port1", "link": "", **PORT, "link_up": False}]},
            "Links",
            "warning",
            "port1 only receives; no cable",
        ),
        ({"time__synchronised": False}, "Clock", "warning", "No time server keeps it"),
        ({"network__management": []}, "Address", "off", "have none"),
        (
            {"network__temporary_address": {"address": "192.168.77.1/24"}},
            "Address",
            "good",
            "7, 192.168.77.1",
        ),
        (
            {"network__addresses_unknown_since": "2026-11-21T14:30:05.000000000Z"},
            "Address",
            "warning",
            "Not known since 2026-11-21 14:30:05 UTC; before: 192.0.2.7",
        ),
        ({"time__server": "", "time__address": ""}, "Clock", "good", "Kept by a time server"),
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


@pytest.mark.parametrize(
    "name",
    [
        "data-unusable",
        "no-storage",
        "storage-full",
        "capture-limit",
        "jobs-refused",
        "no-ring",
        "part-cutter",
    ],
)
def test_a_press_that_would_not_be_captured_is_told_before_it(name: str) -> None:
    harmless = problem("wifi", "The WiFi does not work.")
    shown = told(status__problems=[harmless, problem(name, "There is no room.")])["Press"]
    assert shown == ("warning", "There is no room.")


def test_what_could_not_be_asked_is_told_in_its_place_and_all_else_is_there() -> None:
    found = readiness({**READY, "network": Unavailable("Nobody answers.", remedy="Wait.")}, zone="UTC")
    shown = {each.name: (each.kind, each.text) for each in found}
    for name in ("Links", "Address"):
        assert shown.pop(name) == ("warning", "Could not be looked at: Nobody answers. Wait.")
    whole = told()
    assert shown == {name: (whole[name][0], shown[name][1]) for name in whole.keys() - {"Links", "Address"}}
    assert not any("Could not be looked at" in text for _, text in shown.values())


def test_a_machine_without_sensors_says_nothing_of_its_temperature() -> None:
    assert "Temperature" not in told(status__temperature_c=None)


def test_the_dashboard_shows_it(world: World) -> None:
    browser = world.user("viewer")
    for path in ("/", "/dashboard/ready"):
        page = browser.page(path)
        assert "a press takes 1\u00a0min before it" in page
        assert "Stay on the device" in page


def _count(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the page asks the device for, from now on."""
    asked: list[str] = []
    ask: Callable[..., Awaitable[Any]] = Backend.ask

    async def counted(self: Backend, asker: Any, method: str, path: str, *rest: Any) -> Any:
        asked.append(path)
        return await ask(self, asker, method, path, *rest)

    monkeypatch.setattr(Backend, "ask", counted)
    return asked


def test_it_is_asked_once_for_all_who_look_and_anew_after_a_change(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, admin = world.user("viewer"), world.user("admin")
    asked = _count(world, monkeypatch)
    for browser in (viewer, admin, viewer):
        browser.page("/dashboard/ready")
        browser.page("/")
    assert asked.count("/network") == asked.count("/time") == 1
    assert not [path for path in asked if path.startswith("/export")], "it is off"
    world.device.settings.change({"export": {"host": "h", "username": "u", "enabled": True}})
    assert "Stay on the device" in viewer.page("/dashboard/ready")
    world.clock.now += device_readiness.KEPT_S
    assert "Go to u@h:22 each day" in viewer.page("/dashboard/ready")
    assert asked.count("/network") == 2
    assert not [path for path in asked if path.startswith("/export") and "key=false" not in path]
    admin.post("/press", filter="")
    world.device.settings.change({"export": {"enabled": False}})
    assert "Stay on the device" in viewer.page("/dashboard/ready")


def test_a_part_that_fails_leaves_problems_and_captures_on_the_page(world: World) -> None:
    device, browser = world.device, world.user("capture")
    device.settings.change({"export": {"host": "h", "username": "u", "enabled": True}})
    device.problems.append(Problem("jobs-refused", "error", "No captures can be made: broken.", "Wait."))
    browser.post("/press")
    for state in ("cutting", "complete"):
        device.jobs.change(1, state=state, file="gone.pcapng", directory="upload", finished_ns=5)
    device.paths.database.unlink()  # the list of captures has it open, the queue of uploads opens it anew
    device.paths.database.mkdir()
    assert device.call("GET", "/export").status_code == 503
    page = browser.page("/")
    assert "Could not be looked at: The record of the uploads cannot be used" in page
    assert "What needs attention" in page
    assert page.count("No captures can be made: broken.") == 2
    assert "not here any more" in page
    assert "192.0.2.7" in page
    assert "Could not be looked at" in browser.page("/dashboard/ready")
    assert "not here any more" in browser.page("/dashboard/live")


def test_what_hangs_keeps_the_page_waiting_for_seconds_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask: Callable[..., Awaitable[Any]] = Backend.ask

    async def hanging(self: Backend, asker: Any, method: str, path: str, *rest: Any) -> Any:
        if path == "/network":
            await asyncio.Event().wait()
        return await ask(self, asker, method, path, *rest)

    browser = world.user("viewer")
    monkeypatch.setattr(Backend, "ask", hanging)
    monkeypatch.setattr(device_readiness, "ANSWER_S", 0.1)
    page = browser.page("/")
    assert "Could not be looked at: The device did not answer in time." in page
    assert "Measuring ports" in page
