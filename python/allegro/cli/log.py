"""`allegro log`: what the device has logged."""

from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, table
from allegro.system.journal import LEVELS


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    log = grammar.add("log", _log, "What the device has logged since its last start")
    log.add_argument("--limit", type=int, default=100, help="so many of the newest (%(default)s)")
    log.add_argument("--level", choices=LEVELS, default="info", help="at least so important (%(default)s)")


def _log(client: Client, arguments: Namespace) -> Output:
    answer = client.get("/log", limit=arguments.limit, level=arguments.level)
    return Output(answer, _text(answer))


def _text(answer: Answer) -> str:
    """Messages, one line each."""
    return table(
        (moment(each["time"]), each["level"], f"{each['program']}: {each['text']}")
        for each in answer["entries"]
    )
