"""Whether the device is ready for the next press, as sentences for the dashboard. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from allegro.web import filters

Answer = Mapping[str, Any]
"""What the API said."""

HOT_C = 85.0
"""Processors slow down from about 90 to 100 °C on."""


@dataclass(frozen=True)
class Item:
    """One thing that a press needs. `good`: as it should be; `warning`: to be seen to; `off`: neither."""

    name: str
    kind: Literal["good", "warning", "off"]
    text: str


def readiness(
    status: Answer,
    settings: Answer,
    presenters: Answer,
    network: Answer,
    clock: Answer,
    export: Answer,
    *,
    zone: str,
) -> list[Item]:
    """By the answers of /status, /settings, /presenters, /network, /time and /export."""
    return [
        _presenter(status, settings, presenters, zone),
        _reach(status["ring"], settings["trigger"]),
        _links(network),
        _clock(clock),
        _address(network),
        _captures(settings["export"], export, zone),
        _firmware(status),
        *_temperature(status),
    ]


def _presenter(status: Answer, settings: Answer, presenters: Answer, zone: str) -> Item:
    last = presenters["last_press"]
    heard = (
        f"last press: {last['key']} on {last['presenter']}, {filters.moment(last['time'], zone)}"
        if last
        else ""
    )
    if not settings["trigger"]["presenters"]:
        return Item("Presenter", "warning", "None is known: no key triggers a capture.")
    if not status["presenters"]:
        return Item("Presenter", "warning", "; ".join(filter(None, ("None is plugged in", heard))))
    plugged_in = f"{', '.join(status['presenters'])} is plugged in"
    return Item("Presenter", "good", f"{plugged_in}; {heard or 'no key was pressed yet'}")


def _reach(ring: Answer, trigger: Answer) -> Item:
    window = f"a press takes {filters.duration(trigger['before_s'])} before it"
    if trigger["after_s"]:
        window += f" and {filters.duration(trigger['after_s'])} after it"
    if ring["state"] != "recording":
        return Item("Reach back", "warning", f"Nothing is known of the ring; {window}")
    reach = ring["reach_back_s"]
    kind: Literal["good", "warning"] = "good" if reach >= trigger["before_s"] else "warning"
    return Item("Reach back", kind, f"The ring reaches back {filters.duration(reach)}; {window}")


def _links(network: Answer) -> Item:
    ports = [port for port in network["ports"] if port["role"] == "measuring" and port["present"]]
    if not ports:
        return Item("Links", "warning", "There is no measuring port")
    told = []
    for names in _linked(ports):
        told.append(f"{' and '.join(names)} are one line" if len(names) > 1 else f"{names[0]} only receives")
    up = any(port["link_up"] for port in ports)
    return Item(
        "Links", "good" if up else "warning", "; ".join(told if up else [*told, "no cable is plugged in"])
    )


def _linked(ports: Sequence[Answer]) -> Iterator[list[str]]:
    """Names of ports that are one line together; of each other port its own."""
    links = dict.fromkeys(port["link"] or port["name"] for port in ports)
    for link in links:
        yield [port["name"] for port in ports if (port["link"] or port["name"]) == link]


def _clock(clock: Answer) -> Item:
    if clock["synchronised"]:
        return Item("Clock", "good", f"Kept by the time server {clock['server'] or clock['address']}")
    return Item("Clock", "warning", "No time server keeps it: compare times with other places with care")


def _address(network: Answer) -> Item:
    addresses = [
        each["address"].partition("/")[0] for one in network["management"] for each in one["addresses"]
    ]
    if temporary := network["temporary_address"]:
        addresses.append(temporary["address"].partition("/")[0])
    shown = ", ".join(dict.fromkeys(each for each in addresses if not each.startswith("fe80:")))
    return Item("Address", "good" if shown else "off", shown or "The management ports have none")


def _captures(wanted: Answer, export: Answer, zone: str) -> Item:
    if not wanted["enabled"]:
        return Item("Captures", "good", "Stay on the device")
    when = "at once" if wanted["immediately"] else f"each day at {wanted['time']}"
    where = f"Go to {export['server']} {when}"
    last = export["last_run"]
    if export["problem"]:
        return Item("Captures", "warning", f"{where}; {export['problem']}")
    if not last or not last["ended_time"]:
        return Item("Captures", "good", f"{where}; nothing was sent since the start")
    ended = filters.moment(last["ended_time"], zone)
    if last["error"] or last["failed"]:
        return Item("Captures", "warning", f"{where}; the last upload did not work: {ended}")
    return Item("Captures", "good", f"{where}; the last upload worked: {ended}, {last['sent']} sent")


def _firmware(status: Answer) -> Item:
    if newer := status["newer_firmware"]:
        return Item("Firmware", "warning", f"{status['firmware']}; version {newer} is on the update server")
    return Item("Firmware", "good", status["firmware"])


def _temperature(status: Answer) -> Iterator[Item]:
    """Nothing where the machine does not say."""
    if (celsius := status["temperature_c"]) is not None:
        kind: Literal["good", "warning"] = "good" if celsius < HOT_C else "warning"
        yield Item("Temperature", kind, f"{celsius:.0f} °C")
