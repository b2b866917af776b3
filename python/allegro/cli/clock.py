"""`allegro time`: the clock, and setting it by hand."""

from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, table


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    clock = grammar.add("time", _status, "The clock, its servers, and whether it is synchronised")
    actions = clock.add_subparsers(metavar="action")
    grammar.add("status", _status, "How it is", actions)
    change = grammar.add("set", _set, "Set it by hand, while no time server keeps it", actions)
    change.add_argument("time", metavar="TIME", help="like 2026-11-29T23:30:05Z (Z: UTC), or with an offset")


def _status(client: Client, _: Namespace) -> Output:
    return _shown(client.get("/time"))


def _set(client: Client, arguments: Namespace) -> Output:
    return _shown(client.put("/time", {"time": arguments.time}))


def _shown(answer: Answer) -> Output:
    servers = [*answer["servers"], *answer["servers_from_network"]] or answer["fallback_servers"]
    rows = [
        ("Time", f"{moment(answer['time'])} UTC"),
        ("Zone", f"{answer['zone']} (UTC{answer['utc_offset']})"),
        ("Synchronised", "yes" if answer["synchronised"] else "no"),
        ("Server", answer["server"] or "-"),
        ("Servers", ", ".join(servers)),
    ]
    return Output(answer, table(rows))
