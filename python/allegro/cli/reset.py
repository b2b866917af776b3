"""`allegro reset`: settings back to their defaults."""

from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Grammar, Output
from allegro.system.configuration_reset import KEEPS


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    actions = grammar.group("reset", "Put settings back to their defaults", "configuration")
    text = "Remove all settings but captures; the device starts again"
    configuration = grammar.add("configuration", _configuration, text, actions)
    configuration.add_argument("--keep", nargs="+", choices=KEEPS, default=[], help="what to spare")


def _configuration(client: Client, arguments: Namespace) -> Output:
    answer = client.post("/reset", {"keep": arguments.keep})
    kept = f" Kept: {', '.join(arguments.keep)}." if arguments.keep else ""
    return Output(answer, f"All settings go back to their defaults; the device starts again.{kept}")
