"""`allegro trigger` and `allegro jobs`: fire the trigger, follow the captures, cancel one."""

import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from allegro.api.client import Client
from allegro.cli.grammar import Answer, Grammar, Output
from allegro.cli.text import moment, number, size, table
from allegro.errors import InvalidInput

END_STATES = frozenset({"complete", "failed", "cancelled", "refused"})
POLL_S = 0.2


def register(grammar: Grammar) -> None:
    """Adds the commands."""
    trigger = grammar.add("trigger", _trigger, "Cut out the last minute, as a press of the presenter does")
    trigger.add_argument(
        "--before", type=float, metavar="SECONDS", help="reach back so far instead of the setting"
    )
    trigger.add_argument(
        "--after", type=float, metavar="SECONDS", help="go on so long instead of the setting"
    )
    trigger.add_argument("--time", metavar="TIME", help="time of the press (ISO 8601, UTC) instead of now")
    trigger.add_argument(
        "--filter", metavar="FILTER", help="save only packets that match, instead of the setting; '': all"
    )
    trigger.add_argument(
        "--packet-length",
        type=int,
        metavar="BYTES",
        help="save so much of each packet instead of the setting; 0: all",
    )
    trigger.add_argument(
        "--size-limit",
        type=int,
        metavar="MIB",
        help="end the file before it is larger, instead of the setting; 0: never",
    )
    trigger.add_argument(
        "--format", choices=("pcapng", "pcap"), help="format of the file instead of the setting"
    )
    trigger.add_argument("--key", help="key to put into the file name (manual)")
    trigger.add_argument("--wait", action="store_true", help="wait until the file is complete")
    jobs = grammar.add("jobs", _jobs, "Captures: all, or one by its number")
    jobs.add_argument("id", type=int, nargs="?", metavar="NUMBER")
    jobs.add_argument("--limit", type=int, default=20, help="so many of the newest (%(default)s)")
    jobs.add_argument("--offset", type=int, default=0, help="leave out so many newer ones (%(default)s)")
    jobs.add_argument("--cancel", action="store_true", help="end the capture NUMBER without a file")
    jobs.add_argument("--row", type=int, metavar="ROW", help="end only this row of the filter table")


def _trigger(client: Client, arguments: Namespace) -> Output:
    asked = {
        "before_s": arguments.before,
        "after_s": arguments.after,
        "time": arguments.time,
        "key": arguments.key,
        "filter": arguments.filter,
        "packet_length": arguments.packet_length,
        "size_limit_mib": arguments.size_limit,
        "format": arguments.format,
    }
    body = {name: value for name, value in asked.items() if value is not None}
    job = client.post("/trigger", {"source": "cli", **body})
    if arguments.wait:
        job = _wait(client, job)
    return _job_output(job)


def _wait(client: Client, job: Any) -> Any:
    shown = ""
    live = sys.stderr.isatty()
    while job["state"] not in END_STATES:
        line = f"{job['state']} {job['progress']:.0%}" if job["state"] == "cutting" else job["state"]
        if live and line != shown:
            print(f"\r{line:<20}", end="", file=sys.stderr, flush=True)
            shown = line
        time.sleep(POLL_S)
        job = client.get(f"/jobs/{job['id']}")
    if shown:
        print(f"\r{'':<20}\r", end="", file=sys.stderr, flush=True)
    return job


def _job_output(job: Any) -> Output:
    return Output(job, text(job), exit_code=1 if job["state"] in ("failed", "refused") else 0)


def _jobs(client: Client, arguments: Namespace) -> Output:
    if arguments.id is None:
        if arguments.cancel:
            raise InvalidInput(
                "The number of the capture is missing.", remedy="`allegro jobs` shows the numbers."
            )
        answer = client.get("/jobs", limit=arguments.limit, offset=arguments.offset)
        return Output(answer, list_text(answer))
    if arguments.cancel:
        row = "" if arguments.row is None else f"/rows/{arguments.row}"
        return _job_output(client.post(f"/jobs/{arguments.id}{row}/cancel"))
    answer = client.get(f"/jobs/{arguments.id}")
    return Output(answer, text(answer))


def list_text(answer: Sequence[Answer], indent: str = "") -> str:
    """A list of captures."""
    if not answer:
        return "No captures yet."
    rows: list[Sequence[object]] = [("No.", "Press (UTC)", "By", "State", "Packets", "Size", "File")]
    rows += (
        (
            job["id"],
            moment(job["press_time"]),
            _by(job),
            _state(job),
            number(job["packets"]),
            size(job["size"]),
            job["file"] or job["message"] or _files_of(job),
        )
        for job in answer
    )
    return table(rows, indent)


def text(answer: Answer) -> str:
    """One capture."""
    lines = [
        ("Capture", answer["id"]),
        ("State", _state(answer)),
        (
            "Press",
            f"{moment(answer['press_time'])} UTC, {answer['source']} {answer['key']} {answer['device']}",
        ),
        ("Window", f"{moment(answer['start_time'])} to {moment(answer['end_time'])} UTC"),
    ]
    if answer["filter"]:
        lines.append(("Filter", answer["filter"]))
    if answer["packets"] is not None:
        lines.append(("Packets", f"{number(answer['packets'])}, {number(answer['drops'])} lost"))
    if answer["file"]:
        lines.append(("File", f"{answer['file']}, {size(answer['size'])}, in {answer['directory']}"))
    if answer["message"]:
        lines.append(("Message", answer["message"]))
    rows: list[Sequence[object]] = [("", "Row", "State", "Packets", "Size", "File", "Filter")]
    rows += (
        (
            row["number"],
            row["name"],
            _state(row),
            number(row["packets"]),
            size(row["size"]),
            row["file"] or row["message"],
            row["filter"],
        )
        for row in answer["rows"]
    )
    return f"{table(lines)}\n\n{table(rows)}" if answer["rows"] else table(lines)


def _files_of(answer: Answer) -> str:
    return f"{len(answer['rows'])} files" if answer["rows"] else ""


def _state(answer: Answer) -> str:
    """What ended at its size limit is not called complete."""
    return "ends at limit" if answer["limited"] and answer["state"] == "complete" else answer["state"]


def _by(answer: Answer) -> str:
    return f"{answer['source']} {answer['key']}" + (f" ({answer['device']})" if answer["device"] else "")
