"""`allegro notifications`: who is told by e-mail, webhook and syslog."""

from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, number, table

WAYS = ("mail", "webhook", "syslog")


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    notifications = grammar.add("notifications", _status, "Notifications by e-mail, webhook and syslog")
    actions = notifications.add_subparsers(metavar="action")
    grammar.add("status", _status, "How each way is", actions)
    test = grammar.add("test", _test, "Send a test message, and show what the server says", actions)
    test.add_argument("way", choices=WAYS)


def _status(client: Client, _: Namespace) -> Output:
    answer = client.get("/notifications")
    return Output(answer, "\n\n".join(_text(each) for each in answer))


def _test(client: Client, arguments: Namespace) -> Output:
    answer = client.post("/notifications/test", {"way": arguments.way})
    return Output(answer, answer["message"])


def _text(way: Answer) -> str:
    """One way, with the reason if it does not work."""
    state = "on" if way["enabled"] else "off"
    lines = [
        (way["way"], f"{state}, to {way['target']}" if way["target"] else f"{state}, not set up"),
        ("  Waiting", number(way["waiting"])),
        ("  Last sent", moment(way["last_sent_time"])),
    ]
    if way["dropped"]:
        lines.append(("  Dropped", f"{number(way['dropped'])} that were too many"))
    if way["trouble"]:
        again = f" Next try {moment(way['next_try_time'])} UTC." if way["next_try_time"] else ""
        lines.append(("  Trouble", f"{way['trouble']} {way['remedy']}".rstrip() + again))
    return table(lines)
