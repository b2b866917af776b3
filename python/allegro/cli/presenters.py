"""`allegro presenters`: what is plugged in, learning a new one, a test tone."""

import time
from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, table
from allegro.errors import NotFound

_ASK_S = 0.5


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    presenters = grammar.add("presenters", _list, "Presenters, and other USB devices with keys")
    actions = presenters.add_subparsers(metavar="action")
    grammar.add("list", _list, "What is plugged in, used or not", actions)
    learn = grammar.add("learn", _learn, "Wait for a key of a new one, and name it", actions)
    learn.add_argument("--seconds", type=int, default=60, metavar="S", help="wait so long (%(default)s)")
    grammar.add("tone", _tone, "Play a test tone", actions)


def _list(client: Client, _: Namespace) -> Output:
    answer = client.get("/presenters")
    rows = [
        (f"{each['vendor']}:{each['product']}", each["name"], each["problem"] or _use(each))
        for each in answer["devices"]
    ]
    lines = [table([("USB id", "Name", ""), *rows])]
    if last := answer["last_press"]:
        lines.append(f"Last press: {last['key']} on {last['presenter']}, {moment(last['time'])} UTC")
    return Output(answer, "\n".join(lines))


def _learn(client: Client, arguments: Namespace) -> Output:
    answer = client.post("/presenters/learn", {"seconds": arguments.seconds})
    while answer["learning_s"] is not None:
        time.sleep(_ASK_S)
        answer = client.get("/presenters")
    heard = answer["heard"]
    if heard is None:
        raise NotFound(
            "No key was pressed on a device that is not used yet.", remedy="Plug it in, then try again."
        )
    named = f"{heard['name']} ({heard['vendor']}:{heard['product']}), key {heard['key']}"
    return Output(answer, f"Heard: {named}. Add it to the setting trigger.presenters to use it.")


def _tone(client: Client, _: Namespace) -> Output:
    client.post("/presenters/tone", {"signal": "complete"})
    return Output({}, "Two short tones were played.")


def _use(device: Answer) -> str:
    return "used" if device["used"] else "not used"
