"""`allegro disks`: the disk that captures go to; formatting one, and naming it."""

import sys
from argparse import Namespace
from typing import Any

from allegro.api.client import Client, segment
from allegro.cli.grammar import Grammar, Output
from allegro.cli.install import wait
from allegro.cli.text import on_terminal, size, table
from allegro.errors import AllegroError, InvalidInput
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
    ring = grammar.add("ring", _ring, "Let the packet ring buffer lie on a disk from now on", actions)
    ring.add_argument(
        "uuid",
        metavar="ID|none|remove",
        help="id of its file system; none: the device's own; remove: until it is plugged in again",
    )
    ring.add_argument("--size", type=int, metavar="MIB", help="size there; without it what is free")
    forget = grammar.add("forget", _forget, "Do not remember a disk that has no task", actions)
    forget.add_argument("uuid", metavar="ID", help="id of its file system")
    grammar.add("remove", _remove, "Let the disk go, so that it can be pulled", actions)
    format_ = grammar.add("format", _format, "Format a disk; everything on it is lost", actions)
    format_.add_argument("disk", metavar="DISK", help="for example sdb")
    format_.add_argument(
        "--kind", choices=("exfat", "ext4"), default="exfat", help="exfat: Windows and macOS read it as well"
    )
    format_.add_argument("--name", default="ALLEGRO", help="11 letters at most, ext4: 16")
    format_.add_argument("--yes", action="store_true", help="do not ask; everything on the disk is lost")
    rename = grammar.add("rename", _rename, "Give a file system another name", actions)
    rename.add_argument("uuid", metavar="ID", help="id of the file system")
    rename.add_argument("name", metavar="NAME", help="11 letters at most, ext4: 16")


def _list(client: Client, _: Namespace) -> Output:
    answer = client.get("/disks")
    return Output(answer, _text(answer))


def _use(client: Client, arguments: Namespace) -> Output:
    answer = client.put("/disks/chosen", {"uuid": "" if arguments.uuid == "none" else arguments.uuid})
    return Output(answer, _where(answer))


def _remove(client: Client, _: Namespace) -> Output:
    return Output(client.post("/disks/remove"), "The disk can be pulled.")


def _ring(client: Client, arguments: Namespace) -> Output:
    if arguments.uuid == "remove":
        return Output(client.post("/disks/ring/remove"), "The disk can be pulled.")
    choice = {"uuid": "" if arguments.uuid == "none" else arguments.uuid, "size_mib": arguments.size}
    answer = client.put("/disks/ring", choice)
    return Output(answer, _where_ring(answer["ring"]))


def _forget(client: Client, arguments: Namespace) -> Output:
    answer = client.delete(f"/disks/known/{segment(arguments.uuid)}")
    return Output(answer, _text(answer))


def _format(client: Client, arguments: Namespace) -> Output:
    name = str(arguments.disk).removeprefix("/dev/")
    disk = next((each for each in client.get("/disks")["disks"] if each["name"] == name), None)
    confirmed = name if arguments.yes else ""
    order = {"disk": name, "confirm": confirmed, "kind": arguments.kind, "label": arguments.name}
    # What cannot be is refused by the device, with the reason; only what can be has to be confirmed.
    if disk and not disk["objections"]:
        order["sequence"] = disk["sequence"]
        if not arguments.yes:
            print(on_terminal(f"Everything on {_title(disk)} will be lost: {_holds(disk)}."))
            print(f'Type "{name}" to go on: ', end="", flush=True)
            order["confirm"] = sys.stdin.readline().strip()
            if order["confirm"] != name:
                raise InvalidInput("Not confirmed. Nothing was written.")
    client.post("/disks/format", order)
    action = wait(client, "format")
    if action["state"] == "failed":
        raise AllegroError(action["text"])
    return Output(action, action["text"])


def _rename(client: Client, arguments: Namespace) -> Output:
    answer = client.put("/disks/label", {"uuid": arguments.uuid, "label": arguments.name})
    return Output(answer, _text(answer))


def _title(disk: Any) -> str:
    words = (disk["model"], size_text(disk["size"]), disk["serial"] and f"serial {disk['serial']}")
    return f"{disk['path']} ({', '.join(word for word in words if word)})"


def _holds(disk: Any) -> str:
    return ", ".join(disk["holds"]) or "nothing known"


def _where(answer: Any) -> str:
    if not answer["chosen"]:
        return "Captures stay on the device."
    if not answer["used"]:
        return f"Captures are to go to the disk {answer['chosen']}. {answer['reason']}".strip()
    return f"Captures go to the disk {answer['chosen']}, {size(answer['free'])} are free."


def _where_ring(ring: Any) -> str:
    own = "The packet ring buffer has its place on the device's own disk"
    if not ring["chosen"]:
        return f"{own}."
    if not ring["used"]:
        return f"{own} until the disk {ring['chosen']} can be used. {ring['reason']}".strip()
    there = f"the disk {ring['chosen']}, with {size(ring['size_mib'] << 20)}"
    return f"The packet ring buffer has its place on {there}."


def _text(answer: Any) -> str:
    lines = [f"{_where(answer)}\n{_where_ring(answer['ring'])}"]
    rows = [("Id", "Size", "By", "Model", "Name", "File system", "For captures", "For the ring")]
    rows += [
        (
            each["uuid"] or "-",
            size_text(each["size"]),
            each["transport"] or "-",
            each["model"] or "-",
            each["label"] or "-",
            each["kind"] or "-",
            each["objection"] or "captures can go there",
            each["ring_objection"] or "it can lie there",
        )
        for each in answer["volumes"]
    ]
    lines.append(table(rows) if answer["volumes"] else "There are no other disks.")
    own = [{**disk, "objections": ["the device runs from it"]} for disk in [answer["running_from"]] if disk]
    if own or answer["disks"]:
        disks = [("Disk", "Size", "By", "Model", "Holds", "Health", "")]
        disks += [
            (
                each["name"],
                size_text(each["size"]),
                each["transport"] or "-",
                each["model"] or "-",
                ", ".join(each["holds"]) or "-",
                each["health"]["text"],
                "; ".join(each["objections"]) or "can be formatted",
            )
            for each in (*own, *answer["disks"])
        ]
        lines.append(table(disks))
    if missing := [each for each in answer["known"] if not each["plugged_in"]]:
        gone = [("Id", "Size", "Model", "Name", "For", "Not plugged in since")]
        gone += [
            (
                each["uuid"],
                size_text(each["size"]) if each["size"] else "-",
                each["model"] or "-",
                each["label"] or "-",
                " and ".join(each["tasks"]) or "nothing now",
                each["gone_since"],
            )
            for each in missing
        ]
        lines.append(table(gone))
    return "\n\n".join(lines)
