from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from allegro.capture.extraction.contract import (
    Failure,
    Message,
    PortResult,
    Progress,
    Request,
    Result,
    message_line,
    parse_message,
    parse_request,
)
from allegro.errors import InvalidInput

GOOD: dict[str, Any] = {"ring_directory": "/r", "start_ns": 1, "end_ns": 2, "output": "/o/x.pcapng"}


def test_a_request() -> None:
    assert parse_request(json.dumps(GOOD)) == Request(Path("/r"), 1, 2, Path("/o/x.pcapng"))
    more = {"comment": {"a": 1}, "ports": ["port1"], "notes": ["n"], "status_file": "/s"}
    assert parse_request(json.dumps(GOOD | more)) == Request(
        Path("/r"), 1, 2, Path("/o/x.pcapng"), {"a": "1"}, ("port1",), ("n",), Path("/s")
    )


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"start_ns": 3}, "end_ns"),
        ({"start_ns": -1}, "start_ns"),
        ({"start_ns": True}, "start_ns"),
        ({"start_ns": 1.5}, "start_ns"),
        ({"end_ns": 2**63}, "end_ns"),
        ({"end_ns": None}, "end_ns"),
        ({"ring_directory": ""}, "ring_directory"),
        ({"output": 5}, "output"),
        ({"output": "a\0b"}, "output"),
        ({"comment": []}, "comment"),
        ({"ports": "port1"}, "ports"),
        ({"ports": [1]}, "ports"),
        ({"notes": "n"}, "notes"),
        ({"status_file": 0}, "status_file"),
        ({"filter": 1}, "filter"),
        ({"program": "x"}, "program"),
        ({"program": []}, "program"),
    ],
)
def test_a_wrong_request_is_told_with_its_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_request(json.dumps(GOOD | change))
    assert caught.value.place == place


@pytest.mark.parametrize("text", ["", "{", "[]", "5"])
def test_what_is_no_request_at_all(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_request(text)


def test_what_one_side_asks_is_what_the_other_reads() -> None:
    request = Request(
        Path("/r"),
        1,
        2,
        Path("/o"),
        {"device": "ä"},
        ("port1", "port2"),
        ("Behind.",),
        Path("/s"),
        filter="vlan == 7",
        program=b"\0\xff",
    )
    assert parse_request(request.to_json()) == request
    bare = Request(Path("/r"), 1, 2, Path("/o"))
    assert parse_request(bare.to_json()) == bare


@pytest.mark.parametrize(
    "message",
    [
        Progress(0.25, 3, 300),
        Failure("No ring.", "Wait."),
        Result(1, 60, 400, 5, 6, 7, ["a", "b"], [PortResult("port1", 1, 7, 0)]),
        Result(0, 0, 300, None, None, 0, [], []),
    ],
)
def test_what_one_side_says_is_what_the_other_hears(message: Message) -> None:
    line = message_line(message)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert parse_message(line) == message


@pytest.mark.parametrize("line", ["", "warning", "[1]", "5", "{}", '{"result": {}}', '{"progress": 0.5}'])
def test_lines_that_are_no_messages(line: str) -> None:
    assert parse_message(line) is None
