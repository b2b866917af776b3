"""`allegro install`: lists the disks, asks for confirmation, shows how far the installation is."""

import sys
import time
from argparse import Namespace
from typing import Any

from allegro.api.client import Client
from allegro.cli.grammar import Grammar, Output
from allegro.cli.text import on_terminal, table
from allegro.errors import AllegroError, InvalidInput
from allegro.storage.disks import size_text

ACTION = "install"
_POLL_S = 0.5
_WIDTH = 30


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    install = grammar.add("install", run, "Install this device, started from a stick, on an internal disk")
    install.add_argument("disk", nargs="?", default="list", metavar="list|DISK", help="for example sda")
    install.add_argument("--yes", action="store_true", help="do not ask; everything on the disk is lost")


def disks_text(answer: Any) -> str:
    """The disks as a table."""
    lines = []
    if running := answer["running_from"]:
        where = "a stick" if running["removable"] else "an internal disk"
        lines.append(f"This device runs from {where}: {_title(running)}.")
    rows = [("Disk", "Size", "By", "Model", "Holds", "")]
    rows += [
        (
            disk["name"],
            size_text(disk["size"]),
            disk["transport"] or "-",
            disk["model"] or "-",
            ", ".join(disk["holds"]) or "-",
            f"no: {'; '.join(disk['objections'])}" if disk["objections"] else "can take an installation",
        )
        for disk in answer["disks"]
    ]
    lines.append(table(rows) if answer["disks"] else "There are no other disks.")
    if answer["offered"]:
        lines.append("`allegro install DISK` installs this device on the disk.")
    return "\n\n".join(lines)


def _title(disk: Any) -> str:
    words = (disk["model"], size_text(disk["size"]), disk["serial"] and f"serial {disk['serial']}")
    return f"{disk['path']} ({', '.join(word for word in words if word)})"


def run(client: Client, arguments: Namespace) -> Output:
    """Does the command. Raises AllegroError."""
    answer = client.get("/install")
    if arguments.disk == "list":
        return Output(answer, disks_text(answer))
    name = str(arguments.disk).removeprefix("/dev/")
    disk = next((each for each in answer["disks"] if each["name"] == name), None)
    confirmed = name if arguments.yes else ""
    # What cannot be is refused by the device, with the reason; only what can be has to be confirmed.
    order = {"disk": name, "confirm": confirmed}
    if disk and not disk["objections"]:
        order["sequence"] = disk["sequence"]
        if not arguments.yes:
            held = ", ".join(disk["holds"]) or "nothing known"
            print(on_terminal(f"Everything on {_title(disk)} will be lost: {held}."))
            print(f'Type "{name}" to go on: ', end="", flush=True)
            order["confirm"] = sys.stdin.readline().strip()
            if order["confirm"] != name:
                raise InvalidInput("Not confirmed. Nothing was written.")
    client.post("/install", order)
    action = wait(client)
    if action["state"] == "failed":
        raise AllegroError(action["text"])
    return Output(action, action["text"])


def wait(client: Client, name: str = ACTION) -> Any:
    """Waits for the end of a long action; on a terminal it shows a bar."""
    live = sys.stderr.isatty()
    while True:
        action = next(each for each in client.get("/status")["actions"] if each["name"] == name)
        if live:
            share = action["progress"] or 0.0
            bar = "#" * int(share * _WIDTH)
            text = on_terminal(f"[{bar:.<{_WIDTH}}] {share:4.0%} {action['text']:<40.40}")
            print(f"\r{text}", end="", file=sys.stderr)
        if action["state"] != "running":
            if live:
                print(file=sys.stderr)
            return action
        time.sleep(_POLL_S)
