"""`allegro time`: the clock."""

from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Grammar, Output
from allegro.cli.text import moment, table


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    grammar.add("time", _time, "The clock, its servers, and whether it is synchronised")


def _time(client: Client, _: Namespace) -> Output:
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
