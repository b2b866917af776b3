"""What sharkd says becomes plain data, or nothing."""

import base64
import json
from typing import Any

import pytest

from allegro.packets.capture_blocks import LARGEST
from allegro.packets.sharkd_answers import (
    DEEPEST,
    LONGEST_TEXT,
    MOST,
    MOST_DETAILS,
    Detail,
    Nonsense,
    Piece,
    Row,
    column_numbers,
    details,
    rows,
    stream,
)

pytestmark = pytest.mark.spec("W12")

INFO = {"columns": [{"name": "any", "format": each} for each in ("%q", "%i", "%L", "%m", "%p", "%ud", "%us")]}
CELLS = ["7", "1763762000.123456789", "192.0.2.1", "::1", "TCP", "60", "40000 → 80 [SYN]"]
FRAME: dict[str, Any] = {
    "tree": [
        {
            "l": "Frame 7",
            "h": [0, 60],
            "n": [{"l": "Frame is marked: False", "g": True}, {"l": "Length: 60"}],
        },
        {"l": "[Reassembled]", "h": [0, 9], "ds": 1},
    ],
    "bytes": base64.b64encode(b"abc").decode(),
    "fol": [["HTTP", "tcp.stream eq 0"], ["TCP", "tcp.stream eq 0"]],
}


def test_columns_are_found_by_their_formats_whatever_their_numbers_are() -> None:
    assert column_numbers(INFO) == {
        "column0": "3",
        "column1": "frame.time_epoch:1",
        "column2": "6",
        "column3": "5",
        "column4": "4",
        "column5": "2",
        "column6": "1",
    }
    with pytest.raises(Nonsense):
        column_numbers({"columns": INFO["columns"][1:4]})


def test_a_row_has_its_time_to_the_nanosecond() -> None:
    assert rows([{"c": CELLS, "num": 7}]) == [
        Row(7, "2025-11-21T21:53:20.123456789Z", "192.0.2.1", "::1", "TCP", 60, "40000 → 80 [SYN]")
    ]


def test_details_are_a_tree_with_bytes_and_streams() -> None:
    found = details(FRAME)
    assert found.tree == [
        Detail("Frame 7", 0, 60, [Detail("Length: 60", None, None, [])]),
        Detail("[Reassembled]", None, None, []),
    ]
    assert (found.data, found.streams, found.cut) == (b"abc", {"TCP": "tcp.stream eq 0"}, False)


def test_a_stream_says_who_said_what() -> None:
    found = stream(
        {
            "chost": "::1",
            "cport": "40000",
            "shost": "192.0.2.1",
            "sport": "80",
            "payloads": [{"n": 3, "d": "R0VU"}, {"n": 4, "d": "T0s=", "s": 1}],
        }
    )
    assert (found.client, found.server) == ("[::1]:40000", "192.0.2.1:80")
    assert found.pieces == [Piece(3, False, b"GET"), Piece(4, True, b"OK")]


def test_what_would_control_a_terminal_or_turn_a_line_around_is_made_visible_and_long_texts_are_cut() -> None:
    bad = "\x1b[31m\u202egpj.exe\x00" + "x" * 2 * LONGEST_TEXT
    (row,) = rows([{"c": [*CELLS[:-1], bad]}])
    assert row.info.startswith("·[31m·gpj.exe·x")
    assert len(row.info) == LONGEST_TEXT


def test_a_tree_has_an_end_however_large_or_deep_it_is() -> None:
    wide = details({"tree": [{"l": str(number)} for number in range(MOST_DETAILS + 1)]})
    assert (len(wide.tree), wide.cut) == (MOST_DETAILS, True)
    deep: dict[str, Any] = {"l": "end"}
    for _ in range(4 * DEEPEST):
        deep = {"l": "in", "n": [deep]}
    (found,) = details({"tree": [deep]}).tree
    depth = 1
    while found.below:
        (found,) = found.below
        depth += 1
    assert depth == DEEPEST + 1


@pytest.mark.parametrize(
    "cells",
    [
        CELLS[:-1],
        ["x", *CELLS[1:]],
        ["-1", *CELLS[1:]],
        [CELLS[0], "", *CELLS[2:]],
        [CELLS[0], "99999999999999.0", *CELLS[2:]],
        [CELLS[0], "²", *CELLS[2:]],
    ],
)
def test_a_row_that_makes_no_sense_is_none(cells: list[str]) -> None:
    with pytest.raises(Nonsense):
        rows([{"c": cells}])


@pytest.mark.parametrize("value", [None, 7, "text", [], {}, [[]], {"tree": 7}, {"tree": [7]}, {"bytes": "%"}])
def test_nothing_that_may_come_is_more_than_nonsense(value: object) -> None:
    for reader in (column_numbers, rows, details, stream):
        for wrapped in (value, [value], {"tree": value}, {"payloads": [value]}, {"columns": value}):
            try:
                reader(json.loads(json.dumps(wrapped)))
            except Nonsense:
                continue


@pytest.mark.parametrize("fraction", ["12x", "1²", "-1", " 1"])
def test_a_time_has_digits_only(fraction: str) -> None:
    with pytest.raises(Nonsense):
        rows([{"c": [CELLS[0], f"1763762000.{fraction}", *CELLS[2:]]}])


def test_there_is_no_more_of_anything_than_there_can_be() -> None:
    with pytest.raises(Nonsense):
        rows([{"c": CELLS}] * (MOST + 1))
    with pytest.raises(Nonsense):
        stream({"payloads": [{}] * (MOST + 1)})
    with pytest.raises(Nonsense):
        details({"bytes": base64.b64encode(bytes(LARGEST + 1)).decode()})
    with pytest.raises(Nonsense):
        details({"tree": [{"l": ["a", "list"]}]})
