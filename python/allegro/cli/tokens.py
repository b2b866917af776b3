"""`allegro tokens`: what programs show instead of a password."""

from argparse import Namespace

from allegro.accounts.roles import ROLES
from allegro.api.client import Client, page_client, segment
from allegro.cli.grammar import Grammar, Output
from allegro.cli.text import moment, table
from allegro.errors import NotFound


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    tokens = grammar.add("tokens", _list, "API tokens of programs")
    actions = tokens.add_subparsers(metavar="action")
    grammar.add("list", _list, "All API tokens", actions)
    add = grammar.add("add", _add, "Make a token; it is shown this once", actions)
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=ROLES, default="viewer", help="what it may do (%(default)s)")
    add.add_argument("--days", type=int, help="it ends after so many; without it never")
    delete = grammar.add("delete", _delete, "Delete a token: it lets nobody in any more", actions)
    delete.add_argument("name", metavar="NAME")


def _list(_: Client, arguments: Namespace) -> Output:
    answer = page_client(arguments.socket).get("/tokens")
    if not answer:
        return Output(answer, "No tokens.")
    rows = [
        (each["name"], each["role"], _when(each["ends_time"], "never"), _when(each["used_time"], "not yet"))
        for each in answer
    ]
    return Output(answer, table([("Token", "Role", "Ends (UTC)", "Last use (UTC)"), *rows]))


def _add(_: Client, arguments: Namespace) -> Output:
    body = {"name": arguments.name, "role": arguments.role, "days": arguments.days}
    answer = page_client(arguments.socket).post("/tokens", body)
    return Output(answer, answer["token"])


def _delete(_: Client, arguments: Namespace) -> Output:
    client = page_client(arguments.socket)
    found = next((each for each in client.get("/tokens") if each["name"] == arguments.name), None)
    if found is None:
        raise NotFound("There is no such token.", place=arguments.name)
    client.delete(f"/tokens/{segment(found['id'])}")
    return Output({"deleted": arguments.name}, f"The token {arguments.name} lets nobody in any more.")


def _when(time: str | None, never: str) -> str:
    return moment(time) if time else never
