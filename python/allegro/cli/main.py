"""The program `allegro`."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from allegro.api.client import Client, shape
from allegro.cli import (
    bmc,
    certificate,
    clock,
    configuration,
    disks,
    export,
    files,
    firmware,
    install,
    jobs,
    live,
    log,
    network,
    notifications,
    power,
    presenters,
    reset,
    ring,
    settings,
    status,
    support,
    tokens,
    users,
    wifi,
)
from allegro.cli.grammar import Grammar, Output
from allegro.cli.text import as_json, on_terminal
from allegro.errors import AllegroError

# in the order of the help
NOUNS = (
    status,
    jobs,
    live,
    ring,
    log,
    settings,
    export,
    notifications,
    presenters,
    wifi,
    power,
    support,
    reset,
    files,
    firmware,
    install,
    network,
    bmc,
    clock,
    configuration,
    disks,
    users,
    tokens,
    certificate,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code: 0 done, 1 not done, 2 (by argparse) wrong usage."""
    options = parser().parse_args(arguments)
    try:
        output: Output | None = options.command(Client(options.socket), options)
        if output is not None:
            print(as_json(output.data) if options.json else on_terminal(output.text))
    except AllegroError as error:
        if options.json:
            print(as_json(shape(error)))
        else:
            print(on_terminal(f"allegro: {error}"), file=sys.stderr)
        return 1
    except BrokenPipeError:  # `allegro jobs | head`
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return 130
    return output.exit_code if output is not None else 0


def parser() -> ArgumentParser:
    """The whole grammar."""
    grammar = Grammar()
    for noun in NOUNS:
        noun.register(grammar)
    return grammar.parser
