"""`allegro support`: what the device knows of itself, for whoever helps."""

from argparse import Namespace
from pathlib import Path

from allegro.api.client import Client
from allegro.cli.grammar import Grammar, Output
from allegro.cli.text import size
from allegro.errors import InvalidInput, Unavailable


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    support = grammar.add("support", _support, "Write the support bundle: a ZIP archive without secrets")
    support.add_argument("file", type=Path, metavar="FILE")


def _support(client: Client, arguments: Namespace) -> Output:
    path: Path = arguments.file
    try:
        with client.stream("/support") as stream, path.open("xb") as file:
            while part := stream.read(1 << 16):
                file.write(part)
    except FileExistsError:
        raise InvalidInput(f"{path} exists already.", remedy="Name another file.") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be written ({error.strerror}).") from error
    written = path.stat().st_size
    return Output({"file": str(path), "size": written}, f"{path}: {size(written)}")
