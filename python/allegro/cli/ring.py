"""`allegro ring`: the packet ring and the measuring ports."""

from argparse import Namespace
from collections.abc import Sequence

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, number, size, table
from allegro.words import duration


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    grammar.add("ring", _ring, "The packet ring and the measuring ports")


def _ring(client: Client, _: Namespace) -> Output:
    answer = client.get("/ring")
    return Output(answer, text(answer))


def text(answer: Answer) -> str:
    """The packet ring."""
    lines = [
        ("Recording", recording(answer)),
        ("Size", f"{size(answer['size'])}, {size(answer['used'])} used"),
        ("Oldest packet", moment(answer["oldest_time"])),
        ("Newest packet", moment(answer["newest_time"])),
        ("Reaches back", duration(answer["reach_back_s"])),
        ("In the ring", f"{number(answer['ring_packets'])} packets, {size(answer['ring_bytes'])}"),
        ("Since start", f"{number(answer['packets'])} packets, {size(answer['bytes'])}"),
        ("Now", f"{number(round(answer['packets_per_s']))} packets/s, {size(answer['bytes_per_s'])}/s"),
        (
            "Lost since start",
            f"{number(answer['drops'])} in the device, {number(answer['nic_missed'])} in the NIC",
        ),
        ("Refused writes", number(answer["write_errors"])),
    ]
    if answer["in_memory_since"]:
        lines.insert(1, ("In memory only", f"since {moment(answer['in_memory_since'])}"))
    if answer["rules"]:
        lines.append(("Discarded by rule", f"about {number(answer['discarded'])}"))
        lines.append(("Rules", answer["rules"]))
    return f"{table(lines)}\n\n{ports(answer['ports'])}"


def recording(answer: Answer) -> str:
    """Whether packets are recorded, and how far back the ring reaches."""
    words = {
        "recording": f"yes, reaches back {duration(answer['reach_back_s'])}",
        "starting": "starting",
        "no-ring": "no",
        "silent": "not known",
    }
    text = words[answer["state"]]
    return f"{text}: {answer['message']}" if answer["message"] else text


def ports(answer: Sequence[Answer]) -> str:
    """The measuring ports."""
    rows: list[Sequence[object]] = [("Port", "Link", "Packets", "Packets/s", "Bytes/s", "Lost")]
    rows += (
        (
            port["name"],
            "up" if port["link_up"] else "down",
            number(port["packets"]),
            number(round(port["packets_per_s"])),
            size(port["bytes_per_s"]),
            number(port["drops"] + port["nic_missed"]),
        )
        for port in answer
    )
    return table(rows) if answer else "No measuring ports."
