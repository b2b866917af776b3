"""`allegro export`: upload to a server."""

from argparse import Namespace
from collections.abc import Sequence

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, size, table
from allegro.errors import AllegroError
from allegro.settings.export_ways import EXPORT_WAYS


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    export = grammar.add("export", _status, "Upload to a server: state and queue")
    actions = export.add_subparsers(metavar="action")
    grammar.add("status", _status, "State and queue", actions)
    grammar.add("now", _now, "Send everything in the upload directory now", actions)
    grammar.add("test", _test, "Connect, show the server's host key, write a test file", actions)
    accept = grammar.add("accept-host-key", _accept, "Trust the server by its host key from now on", actions)
    accept.add_argument(
        "fingerprint", nargs="?", help="SHA256:…; without it the key that the last test showed"
    )
    grammar.add("public-key", _public_key, "The device's own key, for authorized_keys on the server", actions)


def _status(client: Client, _: Namespace) -> Output:
    answer = client.get("/export")
    return Output(answer, _text(answer))


def _now(client: Client, _: Namespace) -> Output:
    answer = client.post("/export/now")
    return Output(
        answer, f"{answer['files']} files are being sent; `allegro export status` shows how far it is."
    )


def _test(client: Client, _: Namespace) -> Output:
    answer = client.post("/export/test")
    kind = f" ({answer['host_key_type']})" if answer["host_key_type"] else ""
    key = f"Host key {answer['fingerprint']}{kind}\n" if answer["fingerprint"] else ""
    text = f"{key}{answer['message']}"
    if not answer["accepted"]:
        text += "\n`allegro export accept-host-key` accepts it."
    changed = answer["pinned"] and not answer["accepted"]
    return Output(answer, text, exit_code=1 if changed else 0)


def _accept(client: Client, arguments: Namespace) -> Output:
    given = {} if arguments.fingerprint is None else {"fingerprint": arguments.fingerprint}
    answer = client.post("/export/host-key", given)
    return Output(answer, f"Accepted host key {answer['host_key']} of {answer['server']}.")


def _public_key(client: Client, _: Namespace) -> Output:
    answer = client.get("/export")
    if not answer["public_key"]:
        raise AllegroError(answer["problem"])
    return Output({"public_key": answer["public_key"]}, answer["public_key"])


def _text(answer: Answer) -> str:
    """The export, with the reason for each file that could not be sent."""
    by_sftp = answer["protocol"] == "sftp"
    keys = [
        ("Host key", answer["host_key"] or "not accepted yet"),
        ("Public key", answer["public_key"] or "-"),
    ]
    lines: list[Sequence[object]] = [
        (f"{EXPORT_WAYS[answer['protocol']]} export", answer["state"]),
        ("Server", answer["server"] or "not set"),
        *(keys if by_sftp else ()),
        ("Next upload", moment(answer["next_run_time"])),
    ]
    if answer["problem"]:
        lines.append(("Problem", answer["problem"]))
    if run := answer["last_run"]:
        text = f"{moment(run['started_time'])} UTC, {run['sent']} sent, {run['failed']} failed"
        lines.append(
            ("Last upload", f"{text}: {run['error']} {run['remedy']}".rstrip() if run["error"] else text)
        )
    if running := answer["running"]:
        lines.append(("Now", f"{running['name']}: {size(running['done'])} of {size(running['size'])}"))
    queue = [("File", "Size", "State")]
    queue += ((each["name"], size(each["size"]), _waiting(each)) for each in answer["queue"])
    return f"{table(lines)}\n\n{table(queue) if answer['queue'] else 'Nothing waits for upload.'}"


def _waiting(answer: Answer) -> str:
    if answer["error"]:
        again = f" Next try {moment(answer['next_try_time'])} UTC." if answer["next_try_time"] else ""
        return f"failed {answer['attempts']} times: {answer['error']} {answer['remedy']}".rstrip() + again
    return "being sent" if answer["released"] else "waits for the next upload"
