"""`allegro live`: packets as they come in, into a file or another program."""

import contextlib
import sys
from argparse import Namespace
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from allegro.api.client import Client
from allegro.cli.grammar import Grammar
from allegro.errors import InvalidInput, Unavailable

_PART = 1 << 16


def register(grammar: Grammar) -> None:
    """Adds the command."""
    live = grammar.add("live", _live, "Packets of all ports as they come in, as pcapng")
    live.add_argument("--filter", metavar="FILTER", default="", help="only packets that match")
    live.add_argument("--seconds", type=float, metavar="SECONDS", help="end after so long, else with Ctrl+C")
    live.add_argument("--bytes", type=int, metavar="BYTES", help="end after so many bytes of packets")
    live.add_argument("--past", type=float, metavar="SECONDS", help="begin so long before now")
    live.add_argument("--output", type=Path, metavar="FILE", help="write to a new file, else to stdout")


def _live(client: Client, arguments: Namespace) -> None:
    if arguments.output is None and sys.stdout.isatty():
        raise InvalidInput(
            "Packets are not for a terminal.",
            remedy="Name a file with --output, or pass them on: allegro live | tcpdump -r -",
        )
    asked = {
        "filter": arguments.filter,
        "seconds": arguments.seconds,
        "bytes": arguments.bytes,
        "past": arguments.past,
    }
    query = {name: value for name, value in asked.items() if value}
    with client.stream("/live", **query) as stream, _opened(arguments.output) as file:
        for part in _parts(stream):
            file.write(part)
            file.flush()


def _parts(stream: HTTPResponse) -> Iterator[bytes]:
    """What comes, as it comes. Raises Unavailable if it breaks off; what goes wrong with the output does not
    pass here.
    """
    try:
        while part := stream.read1(_PART):
            yield part
    except (OSError, HTTPException) as error:
        raise Unavailable(
            "The live capture broke off.",
            remedy="What has come until then can be read. See `systemctl status allegro-supervisor`.",
        ) from error


@contextlib.contextmanager
def _opened(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        with path.open("xb") as file:
            yield file
    except FileExistsError:
        raise InvalidInput(f"{path} exists already.", remedy="Name another file.") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be written ({error.strerror}).", place="--output") from error
