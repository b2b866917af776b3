from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.capture.extraction import pcapng
from tests.unit.capture import pcapng_reader

FIELDS = [("device", "allegro-mm-1234"), ("trigger", "presenter next")]


@pytest.mark.spec("T6")
def test_a_section_header_says_what_the_file_is() -> None:
    section = pcapng.Section("device: a\nnote: ü", "x86_64", "Linux 6.12", "Allegro 1.0")
    file = pcapng_reader.read(pcapng.section_header(section, section_length=0))
    assert file.comment == "device: a\nnote: ü"
    assert file.header == {
        1: ["device: a\nnote: ü".encode()],
        2: [b"x86_64"],
        3: [b"Linux 6.12"],
        4: [b"Allegro 1.0"],
    }
    assert file.section_length == 0


def test_a_section_header_without_texts_is_the_shortest_possible() -> None:
    header = pcapng.section_header(pcapng.Section(""))
    assert len(header) == 28
    assert pcapng_reader.read(header).header == {}


@given(st.text(max_size=300), st.integers(0, 20000))
def test_a_header_can_be_filled_up_to_any_size_that_is_enough(comment: str, more: int) -> None:
    section = pcapng.Section(comment)
    least = len(pcapng.section_header(pcapng.Section(comment or "x"))) + 4
    size = (least + more) // 4 * 4 + 4
    header = pcapng.section_header(section, size=size)
    assert len(header) == size
    assert pcapng_reader.read(header).comment == comment


def test_a_header_can_be_filled_up_beyond_the_longest_option() -> None:
    header = pcapng.section_header(pcapng.Section("a"), size=300_000)
    assert len(header) == 300_000
    assert pcapng_reader.read(header).comment == "a"


@pytest.mark.parametrize("size", [28, 32, 39, 41])
def test_a_header_cannot_be_filled_up_to_too_little(size: int) -> None:
    with pytest.raises(ValueError, match="filled up"):
        pcapng.section_header(pcapng.Section("four"), size=size)


def test_an_option_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        pcapng.section_header(pcapng.Section("a" * 65536))


@pytest.mark.spec("T6")
def test_an_interface_has_its_name_and_nanoseconds() -> None:
    image = pcapng.section_header(pcapng.Section(""))
    image += pcapng.interface_description("port1") + pcapng.interface_description("port2", "Uplink")
    file = pcapng_reader.read(image)
    assert file.names == ["port1", "port2"]
    assert file.interfaces[1][3] == [b"Uplink"]


@pytest.mark.spec("T6", "R5")
def test_interface_statistics() -> None:
    image = pcapng.section_header(pcapng.Section("")) + pcapng.interface_description("port1")
    image += pcapng.interface_statistics(0, pcapng.Statistics(2**32 + 5, 2**33 + 6, 100, 7, 3))
    file = pcapng_reader.read(image)
    assert file.statistics[0][2] == [struct.pack("<II", 1, 5)]
    assert file.statistics[0][3] == [struct.pack("<II", 2, 6)]
    assert [file.counter(0, option) for option in (4, 5, 7, 8)] == [107, 3, 7, 100]


def test_statistics_of_a_filter() -> None:
    image = pcapng.section_header(pcapng.Section("")) + pcapng.interface_description("port1")
    image += pcapng.interface_statistics(0, pcapng.Statistics(1, 2, 100, 7, 3, rejected=50))
    file = pcapng_reader.read(image)
    assert [file.counter(0, option) for option in (4, 5, 6, 7, 8)] == [157, 3, 100, 7, 100]


def test_comment_lines() -> None:
    text = pcapng.comment_text(FIELDS, ["The ring was short.", "Two."], 1000)
    assert text.split("\n") == [
        "device: allegro-mm-1234",
        "trigger: presenter next",
        "note: The ring was short.",
        "note: Two.",
    ]


def test_a_value_cannot_pose_as_a_line() -> None:
    assert pcapng.comment_text([("a", "1\nb: 2\r\n  3")], ["x\ny"], 1000) == "a: 1 b: 2 3\nnote: x y"


def test_notes_that_do_not_fit_are_counted() -> None:
    text = pcapng.comment_text(FIELDS, [f"number {number}" for number in range(100)], 200)
    assert len(text.encode()) <= 200
    lines = text.split("\n")
    assert lines[:2] == ["device: allegro-mm-1234", "trigger: presenter next"]
    assert lines[-1] == f"note: {100 - (len(lines) - 3)} more notes do not fit here"


def test_notes_that_were_not_kept_are_counted_too() -> None:
    text = pcapng.comment_text(FIELDS, ["number 1", "number 2"], 200, more=7)
    assert text.split("\n")[-2:] == ["note: number 2", "note: 7 more notes do not fit here"]
    text = pcapng.comment_text((), [f"number {number}" for number in range(10)], 100, more=7)
    kept = text.split("\n")[:-1]
    assert text.split("\n")[-1] == f"note: {10 - len(kept) + 7} more notes do not fit here"


@given(st.lists(st.text(), min_size=1), st.integers(0, 200))
def test_of_the_notes_as_many_are_kept_as_fit(notes: list[str], limit: int) -> None:
    def with_so_many(kept: int) -> str:
        lines = [f"note: {' '.join(note.split())}" for note in notes[:kept]]
        if kept < len(notes):
            lines.append(f"note: {len(notes) - kept} more notes do not fit here")
        return "\n".join(lines)

    texts = [with_so_many(kept) for kept in range(1, len(notes) + 1)]
    fitting = [text for text in texts if len(text.encode()) <= limit]
    if fitting:
        assert pcapng.comment_text((), notes, limit) == fitting[-1]


@given(st.lists(st.tuples(st.text(), st.text())), st.lists(st.text()), st.integers(0, 200))
def test_a_comment_keeps_its_limit(fields: list[tuple[str, str]], notes: list[str], limit: int) -> None:
    assert len(pcapng.comment_text(fields, notes, limit).encode()) <= limit
