"""`allegro disks`: the disk that captures go to."""

from argparse import Namespace
from typing import Any

from allegro.api.client import Client
from allegro.cli.grammar import Grammar, Output
from allegro.cli.text import size, table
from allegro.storage.disks import size_text


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    disks = grammar.add("disks", _list, "Disks that captures can go to")
    actions = disks.add_subparsers(metavar="action")
    grammar.add("list", _list, "Disks that captures can go to", actions)
    use = grammar.add("use", _use, "Let captures go to a disk from now on", actions)
    use.add_argument(
        "uuid", metavar="ID|none", help="id of its file system; none: captures stay on the device"
    )
    grammar.add("remove", _remove, "Let the disk go, so that it can be pulled", actions)


def _list(client: Client, _: Namespace) -> Output:
    answer = client.get("/disks")
    return Output(answer, _text(answer))


def _use(client: Client, arguments: Namespace) -> Output:
    answer = client.put("/disks/chosen", {"uuid": "" if arguments.uuid == "none" else arguments.uuid})
    return Output(answer, _where(answer))


def _remove(client: Client, _: Namespace) -> Output:
    return Output(client.post("/disks/remove"), "The disk can be pulled.")


def _where(answer: Any) -> str:
    if not answer["chosen"]:
        return "Captures stay on the device."
    if not answer["used"]:
        return f"Captures are to go to the disk {answer['chosen']}. {answer['reason']}".strip()
    return f"Captures go to the disk {answer['chosen']}, {size(answer['free'])} are free."


def _text(answer: Any) -> str:
    lines = [_where(answer)]
    rows = [("Id", "Size", "By", "Model", "Name", "File system", "")]
    rows += [
        (
            each["uuid"] or "-",
            size_text(each["size"]),
            each["transport"] or "-",
            each["model"] or "-",
            each["label"] or "-",
            each["kind"] or "-",
            each["objection"] or "captures can go there",
        )
        for each in answer["volumes"]
    ]
    lines.append(table(rows) if answer["volumes"] else "There are no other disks.")
    return "\n\n".join(lines)
