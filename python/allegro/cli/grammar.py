"""The grammar of the command line, to which every noun adds its commands."""

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allegro.api.client import Client
from allegro.paths import Paths
from allegro.version import own_version

Answer = dict[str, Any]


@dataclass(frozen=True)
class Output:
    """What a command answers: `data` for --json, `text` for people."""

    data: Any
    text: str
    exit_code: int = 0


Command = Callable[[Client, Namespace], Output | None]
"""Without an answer: it has written one by itself."""


class Grammar:
    """The parser as it grows. `where` is what `add_subparsers` made: commands below another command."""

    def __init__(self) -> None:
        self._common = ArgumentParser(add_help=False)
        # Without defaults of their own: else those of `status` would undo --json of `export --json status`.
        self._common.add_argument(
            "--json", action="store_true", default=SUPPRESS, help="answer as JSON, as the REST API does"
        )
        self._common.add_argument("--socket", type=Path, default=SUPPRESS, help=SUPPRESS)
        self.parser = ArgumentParser(
            prog="allegro", description="Shows and controls this Allegro network multimeter."
        )
        self.parser.set_defaults(json=False, socket=Paths().api_socket)
        self.parser.add_argument("--version", action="version", version=f"Allegro {own_version()}")
        self._commands = self.parser.add_subparsers(required=True, metavar="command")

    def add(self, name: str, command: Command, text: str, where: Any = None) -> ArgumentParser:
        """A command; its help is `text`."""
        place = self._commands if where is None else where
        made: ArgumentParser = place.add_parser(name, help=text, description=text, parents=[self._common])
        made.set_defaults(command=command)
        return made

    def group(self, name: str, text: str, choice: str) -> Any:
        """A word that means nothing without a command below it; `choice` names these in the usage."""
        return self._commands.add_parser(name, help=text).add_subparsers(required=True, metavar=choice)
