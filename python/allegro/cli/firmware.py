"""The command `allegro firmware`: versions, update server, files, slots."""

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from allegro.api.client import Client, segment
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import actions as actions_text
from allegro.cli.text import moment, on_terminal, size, table
from allegro.errors import AllegroError, Unavailable

POLL_S = 0.5

_PLACES = {"file": "file", "server": "update server"}


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    firmware = grammar.add("firmware", _list, "Firmware: versions, update server, installation")
    actions = firmware.add_subparsers(metavar="action")
    grammar.add("list", _list, "The versions at hand", actions)
    grammar.add("check", _check, "Ask the update server what there is", actions)
    download = grammar.add("download", _download, "Bring a version from the update server", actions)
    download.add_argument("version", metavar="VERSION")
    upload = grammar.add("upload", _upload, "Take a firmware file", actions)
    upload.add_argument("file", type=Path, metavar="FILE")
    install = grammar.add(
        "install", _install, "Write a firmware file to the slot that is not running", actions
    )
    install.add_argument("name", metavar="NAME")
    install.add_argument("--older", action="store_true", help="also if it is older than the running version")
    activate = grammar.add("activate", _activate, "Start the version in the other slot", actions)
    activate.add_argument(
        "slot", nargs="?", choices=("slot-a", "slot-b"), help="a slot instead of the other one"
    )
    activate.add_argument("--older", action="store_true", help="also if it is older than the running version")
    activate.add_argument("--no-restart", action="store_true", help="not now, but at the next restart")
    delete = grammar.add("delete", _delete, "Delete a firmware file", actions)
    delete.add_argument("name", metavar="NAME")
    grammar.add("events", _events, "What happened to the firmware, newest first", actions)


def _list(client: Client, _: Namespace) -> Output:
    answer = client.get("/firmware")
    return Output(answer, overview(answer))


def _check(client: Client, _: Namespace) -> Output:
    answer = client.post("/firmware/check")
    newer = answer["newer"]
    told = f"Version {newer} is on the update server." if newer else "There is nothing newer."
    return Output(answer, f"{told}\n\n{overview(answer)}")


def _download(client: Client, arguments: Namespace) -> Output:
    return _long(client, arguments, "/firmware/download", {"version": arguments.version})


def _upload(client: Client, arguments: Namespace) -> Output:
    path: Path = arguments.file
    try:
        with path.open("rb") as file:
            client.upload(f"/firmware/files/{segment(path.name)}", file, path.stat().st_size)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}.") from error
    return Output(
        {"name": path.name}, f"{path.name} is good; `allegro firmware install {path.name}` installs it."
    )


def _install(client: Client, arguments: Namespace) -> Output:
    return _long(client, arguments, "/firmware/install", {"name": arguments.name, "older": arguments.older})


def _activate(client: Client, arguments: Namespace) -> Output:
    slot = arguments.slot
    if slot is None:
        running = client.get("/firmware")["slot"]
        slot = "slot-a" if running == "slot-b" else "slot-b"
    answer = client.post(
        "/firmware/activate",
        {"slot": slot, "older": arguments.older, "restart": not arguments.no_restart},
    )
    when = "The device restarts" if answer["restarts"] else "At the next restart the device starts"
    return Output(answer, f"{when} with version {answer['version']}.")


def _delete(client: Client, arguments: Namespace) -> Output:
    client.delete(f"/firmware/files/{segment(arguments.name)}")
    return Output({"deleted": arguments.name}, f"Deleted {arguments.name}.")


def _events(client: Client, _: Namespace) -> Output:
    answer = client.get("/firmware/events")
    rows = [(moment(event["time"]), event["text"]) for event in answer]
    return Output(answer, table(rows) or "Nothing has happened to the firmware yet.")


def _long(client: Client, arguments: Namespace, path: str, body: Answer) -> Output:
    """Starts long work and follows it to its end."""
    name = client.post(path, body)["action"]
    shown = ""
    while True:
        found = [each for each in client.get("/status")["actions"] if each["name"] == name]
        if not found:
            raise AllegroError(
                "The supervisor was restarted meanwhile; `allegro firmware` says how things are."
            )
        action = found[0]
        if action["state"] == "failed":
            raise AllegroError(action["text"])
        if action["state"] == "done":
            return Output(action, action["text"])
        text = actions_text(found)
        if text != shown and not arguments.json:
            print(on_terminal(text), file=sys.stderr)
            shown = text
        time.sleep(POLL_S)


def overview(answer: Answer) -> str:
    """The versions at hand."""
    where = f" in {answer['slot']}" if answer["slot"] else ""
    lines = [f"Running: {answer['version']}{where}" + ("" if answer["confirmed"] else ", not confirmed yet")]
    if answer["newer"]:
        lines.append(f"On the update server: {answer['newer']}")
    if answer["check_problem"]:
        lines.append(answer["check_problem"])
    rows: list[Sequence[object]] = [("Version", "Where", "Name", "Date", "Size", "")]
    rows += (
        (
            each["version"] or "-",
            _PLACES.get(each["place"], "slot"),
            each["name"],
            each["date"][:10] or "-",
            size(each["size"]),
            _remarks(each),
        )
        for each in answer["versions"]
    )
    return "\n".join(lines) + f"\n\n{table(rows)}"


def _remarks(each: Answer) -> str:
    words = [
        *(["running"] if each["running"] else []),
        *(["starts next"] if each["starts_next"] else []),
        *(["not proven"] if each["good"] is False and not each["problem"] else []),
        *([each["compared"]] if each["compared"] in ("newer", "older") else []),
        *([each["problem"]] if each["problem"] else []),
    ]
    return ", ".join(words)
