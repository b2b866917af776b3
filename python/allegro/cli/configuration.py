"""`allegro configuration`: all settings as one file, and the way back to earlier ones."""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path
from typing import Any

from allegro.api.client import Client
from allegro.atomic import write_atomically
from allegro.cli import network
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, table
from allegro.errors import InvalidInput, Unavailable


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    actions = grammar.group(
        "configuration", "All settings as one file; earlier ones", "export|compare|import|history|return"
    )
    export = grammar.add("export", _export, "Write all settings into a file", actions)
    export.add_argument("file", metavar="FILE", help="- writes to stdout")
    export.add_argument(
        "--secrets", action="store_true", help="with secrets, sealed by a password that is asked for"
    )
    for name, command, text in (
        ("compare", _compare, "Show what an import would change"),
        ("import", _import, "Take over the settings of a file; `compare` shows before what that changes"),
    ):
        made = grammar.add(name, command, text, actions)
        made.add_argument("file", metavar="FILE", help="- reads stdin")
        made.add_argument("--secrets", action="store_true", help="also the secrets; asks for their password")
        made.add_argument("--sections", nargs="+", metavar="SECTION", help="only these, such as trigger")
    grammar.add("history", _history, "The last changes of the settings, newest first", actions)
    back = grammar.add("return", _return, "Back to the settings as they were before a change", actions)
    back.add_argument("number", type=int, metavar="N", help="number of the change in the history")


def _export(client: Client, arguments: Namespace) -> Output | None:
    body = {"password": _password()} if arguments.secrets else {}
    answer = client.post("/configuration/export", body)
    content = json.dumps(answer, indent=2, ensure_ascii=False) + "\n"
    if arguments.file == "-":
        sys.stdout.write(content)
        return None
    try:
        write_atomically(Path(arguments.file), content.encode("utf-8", "surrogatepass"))
    except OSError as error:
        raise Unavailable(f"The file cannot be written ({error.strerror}).", place=arguments.file) from error
    what = "with" if "secrets" in answer else "without"
    return Output({"file": arguments.file}, f"{arguments.file} holds all settings, {what} secrets.")


def _compare(client: Client, arguments: Namespace) -> Output:
    answer = client.post("/configuration/compare", _wanted(arguments))
    lines = [f"Not taken over: {each}" for each in answer["left_out"]]
    return Output(answer, "\n".join([_changes(answer["changes"]) or "Nothing would change.", *lines]))


def _import(client: Client, arguments: Namespace) -> Output:
    answer = client.post("/configuration/import", _wanted(arguments))
    lines = [f"Not taken over: {each}" for each in answer["left_out"]]
    return Output(answer, "\n".join(["The configuration is imported.", *lines, *_notes(answer)]))


def _history(client: Client, _: Namespace) -> Output:
    answer = client.get("/configuration/history")
    told = []
    for each in answer["changes"]:
        told.append(f"{each['id']}  {moment(each['time'])} UTC  {each['who'] or 'the device itself'}")
        told.append(_changes(each["changes"], "   "))
    return Output(answer, "\n".join(told) or "Nothing was changed yet.")


def _return(client: Client, arguments: Namespace) -> Output:
    answer = client.post(f"/configuration/history/{arguments.number}/return")
    return Output(answer, "\n".join(["The earlier settings are in force again.", *_notes(answer)]))


def _wanted(arguments: Namespace) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text(errors="replace")
    except OSError as error:
        raise InvalidInput(f"The file cannot be read ({error.strerror}).", place=arguments.file) from error
    try:
        file = json.loads(text)
        if not isinstance(file, dict):
            raise ValueError
    except ValueError:
        raise InvalidInput("This is no configuration.", place=arguments.file) from None
    password = _password() if arguments.secrets else ""
    return {"file": file, "password": password, "sections": arguments.sections}


def _password() -> str:
    """Typed unseen, or the first line of stdin. Never an argument, which others can see.

    Raises InvalidInput without one, as without it the secrets would be left out.
    """
    typed = getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not typed:
        raise InvalidInput(
            "No password was given for the secrets.",
            remedy="Type it, or give it as the first line of stdin; the file cannot come from there as well.",
        )
    return typed


def _changes(changes: Sequence[Answer], indent: str = "") -> str:
    rows = []
    for each in changes:
        both = [json.dumps(each[name], ensure_ascii=False) for name in ("before", "after")]
        rows.append((each["place"], *(both if both[0] != both[1] else ("a secret", "another secret"))))
    return table(((place, before, "->", after) for place, before, after in rows), indent)


def _notes(answer: Answer) -> list[str]:
    notes = [f"Saved, but not in effect yet: {warning}" for warning in answer["warnings"]]
    if answer["confirm_within_s"] is not None:
        notes.append(network.confirm_hint(answer["confirm_within_s"]))
    return notes
