"""`allegro wifi`: the WiFi adapter."""

from argparse import Namespace
from collections.abc import Sequence

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import table
from allegro.words import duration


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    wifi = grammar.add("wifi", _status, "WiFi: state, and who is in the device's own network")
    wifi_actions = wifi.add_subparsers(metavar="action")
    grammar.add("status", _status, "State, and who is in the device's own network", wifi_actions)
    grammar.add("scan", _scan, "Look for networks, which takes a few seconds", wifi_actions)


def _status(client: Client, _: Namespace) -> Output:
    answer = client.get("/wifi")
    return Output(answer, text(answer))


def _scan(client: Client, _: Namespace) -> Output:
    answer = client.post("/wifi/scan")
    return Output(answer, networks_text(answer["scan"]["networks"]))


def text(answer: Answer) -> str:
    """The WiFi adapter, and the devices in its network."""
    lines: list[Sequence[object]] = [("WiFi", f"{answer['mode']}: {answer['state'].replace('-', ' ')}")]
    if answer["message"]:
        lines.append(("", f"{answer['message']} {answer['remedy']}".rstrip()))
    if adapter := answer["adapter"]:
        lines.append(("Adapter", f"{adapter['driver']}, {adapter['mac']}"))
    if answer["ssid"]:
        lines.append(("Network", answer["ssid"]))
    if answer["channel"]:
        security = answer["security"].upper()
        lines.append(("Channel", f"{answer['channel']} ({answer['band']} GHz), {security}"))
    if answer["both_passwords_s"] is not None:
        lines.append(
            ("Password", f"the first one holds, too, {duration(answer['both_passwords_s'])} at most")
        )
    if answer["addresses"]:
        lines.append(("Address", ", ".join(answer["addresses"])))
    if answer["signal_dbm"] is not None:
        lines.append(("Signal", f"{answer['signal_dbm']:.0f} dBm"))
    if answer["state"] != "on":
        return table(lines)
    rows: list[Sequence[object]] = [("Device", "Address", "Signal", "Since")]
    rows += (
        (
            f"{each['mac']} {each['name']}".rstrip(),
            each["address"] or "-",
            "-" if each["signal_dbm"] is None else f"{each['signal_dbm']:.0f} dBm",
            duration(each["connected_s"]),
        )
        for each in answer["clients"]
    )
    return f"{table(lines)}\n\n{table(rows) if answer['clients'] else 'Nobody is in this network.'}"


def networks_text(answer: Sequence[Answer]) -> str:
    """The networks in reach."""
    if not answer:
        return "No network was found."
    rows: list[Sequence[object]] = [("Signal", "Channel", "Encryption", "Network")]
    rows += (
        (f"{each['signal_dbm']:.0f} dBm", each["channel"] or "-", each["security"].upper(), each["ssid"])
        for each in answer
    )
    return table(rows)
