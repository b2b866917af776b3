"""The commands `allegro network`, `allegro bmc` and `allegro time`."""

import argparse
from collections.abc import Callable
from typing import Any

from allegro.api.client import Client
from allegro.cli_output import Output
from allegro.cli_text import moment, table
from allegro.errors import InvalidInput

Arguments = argparse.Namespace
Answer = dict[str, Any]


def add_commands(add: Callable[..., argparse.ArgumentParser], commands: Any) -> None:
    """Adds them to the grammar; `add` and `commands` are those of `cli.parser`."""
    network = add("network", _network, "Ports, addresses, and changes that wait for confirmation")
    actions = network.add_subparsers(metavar="action")
    add("status", _network, "Ports and addresses", actions)
    add("confirm", _confirm, "Keep the changed settings", actions)
    add("take-back", _take_back, "Take the changed settings back now", actions)
    ports = add("ports", _ports, "Give ports other names: all of them, or none if one is wrong", actions)
    ports.add_argument(
        "changes", nargs="+", metavar="PRESENT=WANTED", help="for example mgmt0=port1 port1=mgmt0"
    )
    claim = add(
        "temporary-address", _temporary, "Take 192.168.77.1/24 or the next free one until power-off", actions
    )
    claim.add_argument("--dhcp-server", action="store_true", help="also give addresses to others")
    claim.add_argument("--release", action="store_true", help="give it back")

    bmc = add("bmc", _bmc, "LAN address of the machine's management controller")
    actions = bmc.add_subparsers(metavar="action")
    add("status", _bmc, "Its address", actions)
    change = add("set", _bmc_set, "Set its address", actions)
    change.add_argument("address", metavar="ADDRESS|dhcp", help="like 192.168.1.20/24, or dhcp")
    change.add_argument("--gateway", default="", help="its gateway")

    add("time", _time, "The clock, its servers, and whether it is synchronised", commands)


def confirm_hint(seconds: float) -> str:
    """What to do after a change of the network."""
    return (
        f"This is taken back in {seconds:.0f} s unless you confirm it: `allegro network confirm`, or the page"
        " at the new address."
    )


def _network(client: Client, _: Arguments) -> Output:
    answer = client.get("/network")
    return Output(answer, _network_text(answer))


def _confirm(client: Client, _: Arguments) -> Output:
    answer = client.post("/network/confirm")
    return Output(answer, "Confirmed: the changed settings stay.")


def _take_back(client: Client, _: Arguments) -> Output:
    answer = client.post("/network/take-back")
    return Output(answer, "The changed settings are taken back.")


def _ports(client: Client, arguments: Arguments) -> Output:
    names: dict[str, str] = {}
    for change in arguments.changes:
        old, equals, new = change.partition("=")
        if not equals:
            raise InvalidInput("A change is written PRESENT=WANTED.", place=change)
        names[old] = new
    answer = client.put("/network/ports", {"names": names})
    return Output(answer, _network_text(answer))


def _temporary(client: Client, arguments: Arguments) -> Output:
    if arguments.release:
        return Output(client.delete("/network/temporary-address"), "The temporary address is given back.")
    answer = client.post("/network/temporary-address", {"dhcp_server": arguments.dhcp_server})
    return Output(answer, _temporary_text(answer))


def _bmc(client: Client, _: Arguments) -> Output:
    answer = client.get("/bmc")
    return Output(answer, _bmc_text(answer))


def _bmc_set(client: Client, arguments: Arguments) -> Output:
    if arguments.address == "dhcp":
        wanted = {"source": "dhcp", "gateway": arguments.gateway}
    else:
        wanted = {"source": "static", "address": arguments.address, "gateway": arguments.gateway}
    answer = client.put("/bmc", wanted)
    return Output(answer, _bmc_text(answer))


def _time(client: Client, _: Arguments) -> Output:
    answer = client.get("/time")
    servers = [*answer["servers"], *answer["servers_from_network"]] or answer["fallback_servers"]
    rows = [
        ("Time", f"{moment(answer['time'])} UTC"),
        ("Zone", f"{answer['zone']} (UTC{answer['utc_offset']})"),
        ("Synchronised", "yes" if answer["synchronised"] else "no"),
        ("Server", answer["server"] or "-"),
        ("Servers", ", ".join(servers)),
    ]
    return Output(answer, table(rows))


def _network_text(answer: Answer) -> str:
    rows = [("port", "for", "link", "speed", "part of", "known by")]
    for port in answer["ports"]:
        speed = f"{port['speed_mbit']} Mbit/s" if port["speed_mbit"] else "-"
        state = "up" if port["link_up"] else "down" if port["present"] else "not there"
        rows.append((port["name"], port["role"], state, speed, port["link"] or "-", port["key"]))
    text = [f"Host name {answer['host_name']}", "", table(rows), ""]
    for interface in answer["management"]:
        addresses = ", ".join(f"{one['address']} ({one['source']})" for one in interface["addresses"])
        text.append(f"{interface['name']}: {addresses or 'no address'}")
        for what, values in (("gateway", interface["gateways"]), ("name servers", interface["dns"])):
            if values:
                text.append(f"  {what}: {', '.join(values)}")
    if answer["temporary_address"]:
        text.append(_temporary_text(answer["temporary_address"]))
    if answer["confirm_within_s"] is not None:
        text.append(confirm_hint(answer["confirm_within_s"]))
    elif answer["taken_back"]:
        text.append(f"The last change was taken back {answer['taken_back']}.")
    return "\n".join(text)


def _temporary_text(answer: Answer) -> str:
    server = ", with DHCP server" if answer["dhcp_server"] else ""
    unasked = "" if answer["probed"] else "; without a cable nobody could be asked whether it is free"
    return f"Temporary address {answer['address']} until power-off{server}{unasked}"


def _bmc_text(answer: Answer) -> str:
    if not answer["present"]:
        return "This machine has no BMC."
    return table(
        [
            ("Address", answer["address"] or "none"),
            ("Source", answer["source"]),
            ("Gateway", answer["gateway"] or "-"),
            ("MAC address", answer["mac"]),
        ]
    )
