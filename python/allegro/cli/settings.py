"""`allegro settings`: one value, a section or all of them; several changes at once."""

import difflib
import json
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from allegro.api.client import Client
from allegro.cli import network
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import table
from allegro.errors import InvalidInput


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    actions = grammar.group("settings", "Show or change the settings", "get|set")
    get = grammar.add("get", _get, "All settings, one section or one value", actions)
    get.add_argument("path", nargs="?", default="", metavar="PATH", help="for example trigger.before_s")
    change = grammar.add("set", _set, "Change settings: all of them, or none if one is wrong", actions)
    change.add_argument("changes", nargs="+", metavar="PATH=VALUE", help="for example trigger.before_s=90")


def _get(client: Client, arguments: Namespace) -> Output:
    answer = setting(client.get("/settings"), arguments.path)
    return Output(answer, _text(answer, arguments.path))


def _set(client: Client, arguments: Namespace) -> Output:
    patch = settings_patch(client.get("/settings"), arguments.changes)
    answer = client.patch("/settings", patch)
    changed = [change.partition("=")[0] for change in arguments.changes]
    rows = ((path, "=", _value(setting(answer["settings"], path))) for path in changed)
    notes = [f"Saved, but not in effect yet: {warning}" for warning in answer["warnings"]]
    if answer["confirm_within_s"] is not None:
        notes.append(network.confirm_hint(answer["confirm_within_s"]))
    return Output(answer, "\n".join([table(rows), *notes]))


def setting(settings: Any, path: str) -> Any:
    """The section or value at a dotted path. Raises InvalidInput that names it if there is none."""
    found = settings
    for name in path.split(".") if path else ():
        if not isinstance(found, dict) or name not in found:
            close = difflib.get_close_matches(path, _paths(settings), n=1, cutoff=0.6)
            hint = f"Do you mean {close[0]}?" if close else "`allegro settings get` lists all of them."
            raise InvalidInput("There is no such setting.", place=path, remedy=hint)
        found = found[name]
    return found


def settings_patch(settings: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """The nested patch of `PATH=VALUE` changes to the present `settings`.

    A value is taken as it is where the setting is a text, else as JSON. Raises InvalidInput.
    """
    patch: dict[str, Any] = {}
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise InvalidInput("A change is written PATH=VALUE.", place=change)
        present = setting(settings, path)
        *sections, name = path.split(".")
        holder = patch
        for section in sections:
            holder = holder.setdefault(section, {})
        holder[name] = text if isinstance(present, str) else _json_or_text(text)
    return patch


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _paths(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in settings.items():
        found.append(prefix + name)
        if isinstance(value, dict):
            found += _paths(value, f"{prefix}{name}.")
    return found


def _text(answer: object, path: str = "") -> str:
    """Settings as lines `path = value`; one value alone is shown as it is."""
    if not isinstance(answer, dict):
        return _value(answer)
    return table((name, "=", _value(each)) for name, each in _leaves(answer, path))


def _value(answer: object) -> str:
    """A value as `settings set` takes it."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _leaves(answer: Answer, path: str) -> Iterable[tuple[str, object]]:
    for name, each in answer.items():
        below = f"{path}.{name}" if path else name
        if isinstance(each, dict):
            yield from _leaves(each, below)
        else:
            yield below, each
