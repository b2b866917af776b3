"""`allegro files`: finished captures."""

from argparse import Namespace
from collections.abc import Sequence

from allegro.api.client import Client, segment
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, size, table


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    files = grammar.add("files", _list, "Finished captures")
    file_actions = files.add_subparsers(metavar="action")
    grammar.add("list", _list, "Finished captures", file_actions)
    delete = grammar.add("delete", _delete, "Delete captures", file_actions)
    delete.add_argument("names", nargs="+", metavar="NAME")


def _list(client: Client, _: Namespace) -> Output:
    answer = client.get("/files")
    return Output(answer, _text(answer))


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
