"""`allegro network`: ports, addresses, changes that wait for confirmation."""

from argparse import Namespace

from allegro.api.client import Client, segment
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, table
from allegro.errors import InvalidInput


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    network = grammar.add("network", _status, "Ports, addresses, and changes that wait for confirmation")
    actions = network.add_subparsers(metavar="action")
    grammar.add("status", _status, "Ports and addresses", actions)
    grammar.add("confirm", _confirm, "Keep the changed settings", actions)
    grammar.add("take-back", _take_back, "Take the changed settings back now", actions)
    ports = grammar.add(
        "ports", _ports, "Give ports other names: all of them, or none if one is wrong", actions
    )
    ports.add_argument(
        "changes", nargs="+", metavar="PRESENT=WANTED", help="for example mgmt0=port1 port1=mgmt0"
    )
    blink = grammar.add("blink", _blink, "Let a light of a port blink, to find it", actions)
    blink.add_argument("port", metavar="PORT", help="such as port1")
    blink.add_argument("--seconds", type=int, default=5, help="so long, 1 to 10 (default 5)")
    claim = grammar.add(
        "temporary-address", _temporary, "Take 192.168.77.1/24 or the next free one until power-off", actions
    )
    claim.add_argument("--dhcp-server", action="store_true", help="also give addresses to others")
    claim.add_argument("--release", action="store_true", help="give it back")


def confirm_hint(seconds: float) -> str:
    """What to do after a change of the network."""
    return (
        f"This is taken back in {seconds:.0f} s unless you confirm it: `allegro network confirm`, or the"
        " page, at the new address if it is one."
    )


def _status(client: Client, _: Namespace) -> Output:
    answer = client.get("/network")
    return Output(answer, _text(answer))


def _confirm(client: Client, _: Namespace) -> Output:
    answer = client.post("/network/confirm")
    return Output(answer, "Confirmed: the changed settings stay.")


def _take_back(client: Client, _: Namespace) -> Output:
    answer = client.post("/network/take-back")
    return Output(answer, "The changed settings are taken back.")


def _ports(client: Client, arguments: Namespace) -> Output:
    names: dict[str, str] = {}
    for change in arguments.changes:
        old, equals, new = change.partition("=")
        if not equals:
            raise InvalidInput("A change is written PRESENT=WANTED.", place=change)
        names[old] = new
    answer = client.put("/network/ports", {"names": names})
    return Output(answer, _text(answer))


def _blink(client: Client, arguments: Namespace) -> Output:
    path = f"/network/ports/{segment(arguments.port)}/blink"
    answer = client.post(path, {"seconds": arguments.seconds})
    return Output(answer, f"A light of {arguments.port} has blinked for {arguments.seconds} s.")


def _temporary(client: Client, arguments: Namespace) -> Output:
    if arguments.release:
        return Output(client.delete("/network/temporary-address"), "The temporary address is given back.")
    answer = client.post("/network/temporary-address", {"dhcp_server": arguments.dhcp_server})
    return Output(answer, _temporary_text(answer))


def _text(answer: Answer) -> str:
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
    if since := answer["addresses_unknown_since"]:
        text.append(f"The addresses are not known since {moment(since)} UTC: those of before are shown.")
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
