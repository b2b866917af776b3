"""`allegro bmc`: the LAN address of the machine's management controller."""

from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import table


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    bmc = grammar.add("bmc", _status, "LAN address of the machine's management controller")
    actions = bmc.add_subparsers(metavar="action")
    grammar.add("status", _status, "Its address", actions)
    change = grammar.add("set", _set, "Set its address", actions)
    change.add_argument("address", metavar="ADDRESS|dhcp", help="like 192.168.1.20/24, or dhcp")
    change.add_argument("--gateway", default="", help="its gateway")


def _status(client: Client, _: Namespace) -> Output:
    answer = client.get("/bmc")
    return Output(answer, _text(answer))


def _set(client: Client, arguments: Namespace) -> Output:
    if arguments.address == "dhcp":
        wanted = {"source": "dhcp", "gateway": arguments.gateway}
    else:
        wanted = {"source": "static", "address": arguments.address, "gateway": arguments.gateway}
    answer = client.put("/bmc", wanted)
    return Output(answer, _text(answer))


def _text(answer: Answer) -> str:
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
