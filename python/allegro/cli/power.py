"""`allegro power`: start the device again, or switch it off."""

from argparse import Namespace

from allegro.api.client import Client
from allegro.cli.grammar import Grammar, Output


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    actions = grammar.group("power", "Start the device again, or switch it off", "reboot|off|recording")
    grammar.add("reboot", _reboot, "Start the device again", actions)
    grammar.add("off", _off, "Switch the device off", actions)
    grammar.add("recording", _recording, "Start recording again, without the device", actions)


def _reboot(client: Client, _: Namespace) -> Output:
    return Output(client.post("/power", {"action": "reboot"}), "The device starts again.")


def _recording(client: Client, _: Namespace) -> Output:
    client.post("/ring/restart")
    return Output({}, "Recording was restarted.")


def _off(client: Client, _: Namespace) -> Output:
    return Output(client.post("/power", {"action": "power-off"}), "The device switches itself off.")
