"""`allegro files`: finished captures."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from allegro.api.client import Client, segment
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, size, table

PART = 1000
"""So many files are asked for at a time."""

_ORDERS = ("name", "newest", "oldest", "largest", "smallest")
_SEARCHES = ("search", "since", "until")


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    files = grammar.add("files", _list, "Finished captures")
    _take_search(files)
    file_actions = files.add_subparsers(metavar="action")
    _take_search(grammar.add("list", _list, "Finished captures", file_actions))
    rename = grammar.add("rename", _rename, "Give a capture another name", file_actions)
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("new_name", metavar="NEW")
    queue = grammar.add("queue", _queue, "Move captures to the upload directory: they are sent", file_actions)
    queue.add_argument("names", nargs="+", metavar="NAME")
    keep = grammar.add("keep", _keep, "Move captures out of it again: they are not sent", file_actions)
    keep.add_argument("names", nargs="+", metavar="NAME")
    delete = grammar.add("delete", _delete, "Delete captures", file_actions)
    delete.add_argument("names", nargs="+", metavar="NAME")


def _take_search(parser: ArgumentParser) -> None:
    parser.add_argument("--search", metavar="TEXT", help="only names with all these words")
    parser.add_argument(
        "--since", metavar="TIME", help="only what was completed at this time (ISO 8601, UTC) or later"
    )
    parser.add_argument("--until", metavar="TIME", help="only what was completed before")
    parser.add_argument("--order", choices=_ORDERS, help="by name (as usual), time or size")


def _list(client: Client, arguments: Namespace) -> Output:
    asked = {name: getattr(arguments, name) for name in (*_SEARCHES, "order")}
    query = {name: value for name, value in asked.items() if value is not None}
    answer: list[Any] = client.get("/files", limit=PART, **query)
    while answer and len(answer) % PART == 0:
        further = client.get("/files", limit=PART, after=answer[-1]["cursor"], **query)
        if not further:
            break
        answer += further
    return Output(answer, _text(answer))


def _rename(client: Client, arguments: Namespace) -> Output:
    answer = client.patch(f"/files/{segment(arguments.name)}", {"name": arguments.new_name})
    return Output(answer, f"{arguments.name} is now called {answer['name']}.")


def _queue(client: Client, arguments: Namespace) -> Output:
    return _moved(client, arguments.names, "upload", "is to be sent")


def _keep(client: Client, arguments: Namespace) -> Output:
    return _moved(client, arguments.names, "storage", "is not sent")


def _moved(client: Client, names: Sequence[str], directory: str, said: str) -> Output:
    answer = [client.patch(f"/files/{segment(name)}", {"directory": directory}) for name in names]
    return Output(answer, "\n".join(f"{file['name']} {said}." for file in answer))


def _delete(client: Client, arguments: Namespace) -> Output:
    for name in arguments.names:
        client.delete(f"/files/{segment(name)}")
    return Output({"deleted": arguments.names}, "\n".join(f"Deleted {name}." for name in arguments.names))


def _text(answer: Sequence[Answer]) -> str:
    """The finished captures."""
    if not answer:
        return "No files."
    rows: list[Sequence[object]] = [("File", "Size", "Completed (UTC)", "Where")]
    rows += (
        (file["name"], size(file["size"]), moment(file["modified_time"]), file["directory"])
        for file in answer
    )
    return table(rows)
