"""Whether the device is ready for the next press, as sentences for the dashboard. No I/O."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from allegro.errors import AllegroError
from allegro.web import template_filters

Answer = Mapping[str, Any]
"""What the API said."""

Answers = Mapping[str, Answer | AllegroError]
"""By what was asked: status, settings, presenters, network, time, export; or why nothing was said. That of
the export is empty while it is off."""

Kind = Literal["good", "warning", "off"]
Said = tuple[Kind, str]

HOT_C = 85.0
"""Processors slow down from about 90 to 100 °C on."""

REFUSING = (
    "data-unusable",
    "no-storage",
    "storage-full",
    "capture-limit",
    "jobs-refused",
    "no-ring",
    "part-storage",
    "part-cutter",
)
"""Problems (`allegro.system.problems`) with which a press is not captured, or may not be for long."""

NO_REACH = {"starting": "Recording starts", "no-ring": "There is no packet ring buffer"}
"""Where the recorder says no more."""


@dataclass(frozen=True)
class Item:
    """One thing that a press needs. `good`: as it should be; `warning`: to be seen to; `off`: neither."""

    name: str
    kind: Kind
    text: str


def readiness(answers: Answers, *, zone: str) -> list[Item]:
    """What is known by these answers; an item for which one is missing says why that is."""

    def item(name: str, rule: Callable[..., Said], *needs: str) -> Item:
        known = []
        for need in needs:
            if isinstance(answer := answers[need], AllegroError):
                why = f"{answer.message} {answer.remedy}".strip()
                return Item(name, "warning", f"Could not be looked at: {why}")
            known.append(answer)
        return Item(name, *rule(*known))

    def presenter(status: Answer, settings: Answer, presenters: Answer) -> Said:
        return _presenter(status, settings, presenters, zone)

    def captures(status: Answer, settings: Answer, export: Answer) -> Said:
        return _captures(status, settings, export, zone)

    def address(network: Answer) -> Said:
        return _address(network, zone)

    status = answers["status"]
    has_sensor = not isinstance(status, AllegroError) and status["temperature_c"] is not None
    return [
        item("Press", _press, "status"),
        item("Presenter", presenter, "status", "settings", "presenters"),
        item("Reach back", _reach, "status", "settings"),
        item("Links", _links, "network"),
        item("Clock", _clock, "time"),
        item("Address", address, "network"),
        item("Captures", captures, "status", "settings", "export"),
        item("Firmware", _firmware, "status"),
        *([item("Temperature", _temperature, "status")] if has_sensor else ()),
    ]


def _problems(status: Answer, *names: str) -> str:
    """What the device says of these problems; empty if it has none of them."""
    return " ".join(each["text"] for each in status["problems"] if each["id"] in names)


def _press(status: Answer) -> Said:
    if trouble := _problems(status, *REFUSING):
        return "warning", trouble
    return "good", "Nothing is known that keeps it from being captured"


def _presenter(status: Answer, settings: Answer, presenters: Answer, zone: str) -> Said:
    last = presenters["last_press"]
    heard = (
        f"last press: {last['key']} on {last['presenter']}, {template_filters.moment(last['time'], zone)}"
        if last
        else ""
    )
    if not settings["trigger"]["presenters"]:
        return "warning", "None is known: no key triggers a capture."
    if trouble := _problems(status, "presenter", "part-usb-presenter"):
        return "warning", "; ".join(filter(None, (trouble.removesuffix("."), heard)))
    if not status["presenters"]:
        return "warning", "; ".join(filter(None, ("None is plugged in", heard)))
    plugged_in = f"{', '.join(status['presenters'])} is plugged in"
    return "good", f"{plugged_in}; {heard or 'no key was pressed yet'}"


def _reach(status: Answer, settings: Answer) -> Said:
    ring, trigger = status["ring"], settings["trigger"]
    window = f"a press takes {template_filters.duration(trigger['before_s'])} before it"
    if trigger["after_s"]:
        window += f" and {template_filters.duration(trigger['after_s'])} after it"
    if ring["state"] != "recording":
        said = ring["message"].removesuffix(".") or NO_REACH.get(
            ring["state"], "Nothing is known of the ring"
        )
        return "warning", f"{said}; {window}"
    reach = ring["reach_back_s"]
    in_memory = ring["in_memory_since"] is not None
    enough = reach >= trigger["before_s"] + trigger["after_s"]  # the window's beginning is read at its end
    kind: Kind = "good" if enough and not in_memory else "warning"
    where = "The ring, which is in memory only," if in_memory else "The ring"
    return kind, f"{where} reaches back {template_filters.duration(reach)}; {window}"


def _links(network: Answer) -> Said:
    ports = [port for port in network["ports"] if port["role"] == "measuring" and port["present"]]
    if not ports:
        return "warning", "There is no measuring port"
    told, open_ends = [], []
    for line in _linked(ports):
        names = [port["name"] for port in line]
        told.append(f"{' and '.join(names)} are one line" if len(line) > 1 else f"{names[0]} only receives")
        if any(port["link_up"] for port in line):
            open_ends += [port["name"] for port in line if not port["link_up"]]
    if not any(port["link_up"] for port in ports):
        return "warning", "; ".join([*told, "no cable is plugged in"])
    if open_ends:
        return "warning", "; ".join([*told, f"no link on {', '.join(open_ends)}"])
    return "good", "; ".join(told)


def _linked(ports: Sequence[Answer]) -> Iterator[list[Answer]]:
    """Ports that are one line together; each other port by itself."""
    links = dict.fromkeys(port["link"] or port["name"] for port in ports)
    for link in links:
        yield [port for port in ports if (port["link"] or port["name"]) == link]


def _clock(clock: Answer) -> Said:
    if clock["synchronised"]:
        server = clock["server"] or clock["address"]
        return "good", f"Kept by the time server {server}" if server else "Kept by a time server"
    return "warning", "No time server keeps it: compare times with other places with care"


def _address(network: Answer, zone: str) -> Said:
    addresses = [
        each["address"].partition("/")[0] for one in network["management"] for each in one["addresses"]
    ]
    if temporary := network["temporary_address"]:
        addresses.append(temporary["address"].partition("/")[0])
    shown = ", ".join(dict.fromkeys(each for each in addresses if not each.startswith("fe80:")))
    if since := network["addresses_unknown_since"]:
        return "warning", f"Not known since {template_filters.moment(since, zone)}; before: {shown or 'none'}"
    return ("good", shown) if shown else ("off", "The management ports have none")


def _captures(status: Answer, settings: Answer, export: Answer, zone: str) -> Said:
    wanted = settings["export"]
    if not wanted["enabled"]:
        if trouble := _problems(status, "capture-disk"):
            return "warning", trouble
        on_disk = settings["storage"]["device"]
        return "good", "Go to the disk that was chosen for them" if on_disk else "Stay on the device"
    when = "at once" if wanted["immediately"] else f"each day at {wanted['time']}"
    where = f"Go to {export['server']} {when}"
    last = export["last_run"]
    if trouble := export["problem"] or _problems(status, "uploads-fail"):
        return "warning", f"{where}; {trouble}"
    if not last or not last["ended_time"]:
        return "good", f"{where}; nothing was sent since the start"
    ended = template_filters.moment(last["ended_time"], zone)
    if last["error"] or last["failed"]:
        return "warning", f"{where}; the last upload did not work: {ended}"
    return "good", f"{where}; the last upload worked: {ended}, {last['sent']} sent"


def _firmware(status: Answer) -> Said:
    if newer := status["newer_firmware"]:
        return "warning", f"{status['firmware']}; version {newer} is on the update server"
    return "good", status["firmware"]


def _temperature(status: Answer) -> Said:
    celsius = status["temperature_c"]
    return "good" if celsius < HOT_C else "warning", f"{celsius:.0f} °C"
