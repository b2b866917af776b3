"""`allegro status`: the device at a glance."""

from argparse import Namespace
from collections.abc import Sequence

from allegro.api.client import Client
from allegro.cli import jobs, ring
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import actions, moment, size, table
from allegro.settings.export_ways import EXPORT_WAYS


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    grammar.add("status", _status, "The device at a glance, with its problems")


def _status(client: Client, _: Namespace) -> Output:
    answer = client.get("/status")
    return Output(answer, text(answer))


def text(answer: Answer) -> str:
    """The device at a glance."""
    storage = answer["storage"]
    waiting = answer["uploads_waiting"]
    export = "on" if answer["export_enabled"] else "off"
    if waiting or answer["export_enabled"]:
        export += f", {waiting} waiting"
    captures = storage["files"] + waiting
    head = [
        ("Device", f"{answer['name']}, Allegro {answer['firmware']}"),
        ("System id", answer["system_id"]),
        ("Time", f"{moment(answer['time'])} UTC"),
        ("Recording", ring.recording(answer["ring"])),
        ("Storage", f"{size(storage['free'])} of {size(storage['size'])} free, {captures} captures"),
        (f"{EXPORT_WAYS[answer['export_protocol']]} export", export),
        ("Presenter", ", ".join(answer["presenters"]) or "none plugged in"),
    ]
    parts = [table(head), ring.ports(answer["ring"]["ports"])]
    if answer["jobs"]:
        parts.append("Last captures\n" + jobs.list_text(answer["jobs"], indent="  "))
    if answer["actions"]:
        parts.append(actions(answer["actions"]))
    parts.append(_problems(answer["problems"]))
    return "\n\n".join(part for part in parts if part)


def _problems(answer: Sequence[Answer]) -> str:
    """What is wrong, with what to do."""
    if not answer:
        return "No problems."
    lines = (f"  {problem['text']}\n    {problem['remedy']}" for problem in answer)
    return "Problems\n" + "\n".join(lines)
