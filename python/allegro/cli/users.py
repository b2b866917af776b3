"""`allegro users`: who may log in to the web page and its API."""

import sys
from argparse import Namespace
from getpass import getpass

from allegro.accounts.roles import ROLES
from allegro.api.client import Client, page_client, segment
from allegro.cli.grammar import Grammar, Output
from allegro.cli.text import table


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    users = grammar.add("users", _list, "Users of the web page")
    actions = users.add_subparsers(metavar="action")
    grammar.add("list", _list, "All users", actions)
    add = grammar.add("add", _add, "Add a user, who chooses another password at the first login", actions)
    add.add_argument("name", metavar="NAME")
    add.add_argument("--role", choices=ROLES, default="capture", help="what the user may do (%(default)s)")
    role = grammar.add("role", _role, "Give a user another role", actions)
    role.add_argument("name", metavar="NAME")
    role.add_argument("role", choices=ROLES)
    password = grammar.add("password", _password, "Give a user a new password for the next login", actions)
    password.add_argument("name", metavar="NAME")
    delete = grammar.add("delete", _delete, "Delete a user", actions)
    delete.add_argument("name", metavar="NAME")


def _list(_: Client, arguments: Namespace) -> Output:
    answer = page_client(arguments.socket).get("/users")
    rows = [(each["name"], each["role"], _state(each["must_change"])) for each in answer]
    return Output(answer, table([("User", "Role", ""), *rows]))


def _add(_: Client, arguments: Namespace) -> Output:
    body = {"name": arguments.name, "role": arguments.role, "password": _typed()}
    answer = page_client(arguments.socket).post("/users", body)
    return Output(answer, f"{arguments.name} can log in now, and is then asked for a new password.")


def _role(_: Client, arguments: Namespace) -> Output:
    answer = page_client(arguments.socket).patch(
        f"/users/{segment(arguments.name)}", {"role": arguments.role}
    )
    return Output(answer, f"{arguments.name} has the role {arguments.role} now.")


def _password(_: Client, arguments: Namespace) -> Output:
    answer = page_client(arguments.socket).patch(f"/users/{segment(arguments.name)}", {"password": _typed()})
    return Output(answer, f"{arguments.name} can log in with it once, and is then asked for a new one.")


def _delete(_: Client, arguments: Namespace) -> Output:
    page_client(arguments.socket).delete(f"/users/{segment(arguments.name)}")
    return Output({"deleted": arguments.name}, f"{arguments.name} is deleted.")


def _state(must_change: bool) -> str:
    return "is asked for a new password" if must_change else ""


def _typed() -> str:
    """A password: typed unseen, or the first line of stdin. Never an argument, which others can see."""
    return getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
