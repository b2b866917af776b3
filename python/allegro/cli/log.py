"""`allegro log`: what the device has logged; who did what."""

from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, table
from allegro.system.journal import CHOICES


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    log = grammar.add("log", _log, "What the device has logged since its last start")
    log.add_argument("--limit", type=int, default=100, help="so many of the newest (%(default)s)")
    log.add_argument(
        "--level",
        choices=CHOICES,
        default="info",
        help="at least so important; device: what its own programs say, and all warnings (%(default)s)",
    )
    log.add_argument(
        "--events", action="store_true", help="who did what instead, newest first; kept over restarts"
    )


def _log(client: Client, arguments: Namespace) -> Output:
    if arguments.events:
        answer = client.get("/events", limit=arguments.limit)
        return Output(answer, _events_text(answer))
    answer = client.get("/log", limit=arguments.limit, level=arguments.level)
    return Output(answer, _text(answer))


def _text(answer: Answer) -> str:
    """Messages, one line each."""
    return table(
        (moment(each["time"]), each["level"], f"{each['program']}: {each['text']}")
        for each in answer["entries"]
    )


def _events_text(answer: Answer) -> str:
    """Events, one line each."""
    rows = [
        (moment(each["time"]), each["who"] or "-", each["source"] or "-", f"{each['text']}{_times(each)}")
        for each in answer["events"]
    ]
    return table([("Time (UTC)", "Who", "From", "What"), *rows]) if rows else "Nothing yet."


def _times(event: Answer) -> str:
    count = event["count"]
    return f" ({count} times, last {moment(event['last_time'])})" if count > 1 else ""
