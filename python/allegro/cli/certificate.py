"""`allegro certificate`: what the web page shows to browsers."""

import sys
from argparse import Namespace
from pathlib import Path

from allegro.api.client import Client, page_client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, table
from allegro.errors import InvalidInput


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    certificate = grammar.add("certificate", _show, "Certificate of the web page")
    actions = certificate.add_subparsers(metavar="action")
    grammar.add("show", _show, "The certificate that the page shows", actions)
    upload = grammar.add("upload", _upload, "Show another certificate, until somebody changes that", actions)
    upload.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="certificate, its chain, and its key unless it is the device's own (PEM); - reads stdin",
    )
    grammar.add("request", _request, "A request for a certificate of the device's own key (PEM)", actions)
    grammar.add("own", _own, "Back to the certificate that the device makes itself", actions)


def _show(_: Client, arguments: Namespace) -> Output:
    answer = page_client(arguments.socket).get("/certificate")
    return Output(answer, _text(answer))


def _upload(_: Client, arguments: Namespace) -> Output:
    pem = "\n".join(_content(name) for name in arguments.files)
    answer = page_client(arguments.socket).put("/certificate", {"pem": pem})
    return Output(answer, f"The page shows this certificate now.\n{_text(answer)}")


def _request(_: Client, arguments: Namespace) -> Output:
    answer = page_client(arguments.socket).get("/certificate/request")
    return Output(answer, answer["pem"].rstrip())


def _own(_: Client, arguments: Namespace) -> Output:
    answer = page_client(arguments.socket).delete("/certificate")
    return Output(answer, f"The page shows the device's own certificate again.\n{_text(answer)}")


def _content(name: str) -> str:
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InvalidInput(f"The file cannot be read ({error.strerror}).", place=name) from error
    return content.decode("utf-8", "replace")


def _text(answer: Answer) -> str:
    lines = (
        ("Made by", answer["issuer"] if answer["uploaded"] else "the device itself"),
        ("Fingerprint", f"{answer['fingerprint']} (SHA-256)"),
        ("Names", ", ".join(answer["names"])),
        ("Valid until", f"{moment(answer['ends_time'])} UTC"),
    )
    return table(lines)
