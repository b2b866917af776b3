"""One pass over the ring writes several files, each of which stands for itself."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.capture.extraction import output
from allegro.capture.extraction.contract import Request, Result
from allegro.capture.extraction.cut import extract_all
from allegro.capture.extraction.reading import ReadAhead
from allegro.capture.extraction.yielding import Courtesy
from allegro.errors import AllegroError, Conflict
from allegro.filters.translate import translated
from tests.unit.capture import pcapng_reader
from tests.unit.capture.blocks import NS, Frame
from tests.unit.capture.rings import RUN, Ring

T = RUN + 1000 * NS
MS = 1_000_000

Cut = Callable[..., dict[str, Result | AllegroError]]


def frame(at: int, length: int = 60) -> Frame:
    """Number `at`, one each millisecond; its VLAN is the rest of a division by 5."""
    data = b"\x02" * 6 + b"\x04" * 6 + b"\x88\xb5" + at.to_bytes(4, "big") + bytes(length)
    return Frame(T + at * MS, data[:length], tci=at % 5 or None)


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    ring = Ring(tmp_path / "ring")
    ring.runs((RUN, 2**62), ports=("port1", "port2"))
    for start in range(0, 200, 20):
        ring.add(1 + start // 20 % 2, [frame(at) for at in range(start, start + 20)])
    return ring


@pytest.fixture
def cut(ring: Ring, tmp_path: Path) -> Cut:
    """Cuts 10 to 189 ms with each filter, into files of these names."""

    def cut(**filters: str) -> dict[str, Result | AllegroError]:
        requests = [
            Request(
                ring.directory,
                T + 10 * MS,
                T + 189 * MS,
                tmp_path / name,
                filter=translated(text)[0],
                program=translated(text)[1] if text else b"",
            )
            for name, text in filters.items()
        ]
        answers: dict[str, Result | AllegroError] = {}

        def answer(number: int, told: Result | AllegroError) -> None:
            name = requests[number].output.name
            assert name not in answers
            assert (tmp_path / name).exists() == isinstance(told, Result | Conflict)
            answers[name] = told

        extract_all(requests, lambda *_: None, answer, Courtesy(None))
        assert answers.keys() == filters.keys()
        assert not list(tmp_path.glob(".*"))
        return answers

    return cut


def numbers_of(path: Path) -> list[int]:
    """Which packets a file has; all have their times."""
    return [(packet.time_ns - T) // MS for packet in pcapng_reader.read(path.read_bytes()).packets]


@pytest.mark.spec("T4", "F7")
def test_each_file_has_what_its_filter_lets_through_and_each_record_is_read_once(
    ring: Ring, cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    plain = ReadAhead._read_run

    def counted(ahead: ReadAhead, run: list, buffer: mmap.mmap, at: int) -> object:  # type: ignore[type-arg]
        read.extend(one.sequence for one in run)
        return plain(ahead, run, buffer, at)

    monkeypatch.setattr(ReadAhead, "_read_run", counted)
    answers = cut(all="", third="vlan == 3", second_port="interface == port2", none="ip == 10.0.0.1")
    window = range(10, 190)
    assert numbers_of(tmp_path / "all") == list(window)
    assert numbers_of(tmp_path / "third") == [at for at in window if at % 5 == 3]
    assert numbers_of(tmp_path / "second_port") == [at for at in window if at // 20 % 2]
    assert numbers_of(tmp_path / "none") == []
    assert sorted(read) == list(range(1, 11))
    third, none = answers["third"], answers["none"]
    assert isinstance(third, Result)
    assert isinstance(none, Result)
    assert (third.packets, [port.rejected for port in third.ports]) == (36, [72, 72])
    assert "None of the 180 packets" in none.notes[0]


@pytest.mark.spec("T4")
@pytest.mark.parametrize("broken", [("second",), ("first", "third"), ("first", "second", "third")])
def test_a_file_that_cannot_be_written_leaves_the_others_alone(
    cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...]
) -> None:
    monkeypatch.setattr("allegro.capture.extraction.cut.room_for", lambda _: 32768)
    plain = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name in [f".{name}.partial" for name in broken]:
            raise OSError(28, "No space left on device")
        return plain(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    answers = cut(first="", second="vlan == none or vlan == 1", third="vlan == 3 or vlan == 4")
    wanted = {"first": {0, 1, 2, 3, 4}, "second": {0, 1}, "third": {3, 4}}
    for name, answer in answers.items():
        if name in broken:
            assert isinstance(answer, AllegroError)
            assert "no space left" in str(answer)
        else:
            assert numbers_of(tmp_path / name) == [at for at in range(10, 190) if at % 5 in wanted[name]]


@pytest.mark.spec("T4", "T5")
def test_a_name_that_is_taken_costs_that_file_alone(cut: Cut, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    answers = cut(taken="", free="vlan == 3")
    assert isinstance(answers["taken"], Conflict)
    assert (tmp_path / "taken").read_text() == "mine"
    assert numbers_of(tmp_path / "free") == [at for at in range(10, 190) if at % 5 == 3]


@pytest.mark.spec("T4")
def test_a_hundred_files_at_once(cut: Cut, tmp_path: Path) -> None:
    answers = cut(**{f"row{number}": f"vlan == {number}" for number in range(100)})
    assert [answer.packets for answer in answers.values() if isinstance(answer, Result)] == [
        0,
        *[36] * 4,
        *[0] * 95,
    ]
    assert numbers_of(tmp_path / "row4") == [at for at in range(10, 190) if at % 5 == 4]


@pytest.mark.spec("T4")
def test_buffers_of_a_hundred_files_take_no_more_than_those_of_a_few() -> None:
    assert output.room_for(1) == output.OUT_SIZE
    for files in (2, 10, 100):
        assert output.room_for(files) % 4096 == 0
        assert (files + 2) * output.room_for(files) <= 48 << 20
    assert output.room_for(1000) >= 1 << 18


@pytest.mark.spec("T4")
def test_packets_larger_than_the_room_of_one_file_among_many(
    ring: Ring, cut: Cut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allegro.capture.extraction.cut.room_for", lambda _: 32768)
    for at in range(150, 160):
        ring.add(1, [frame(at, 100_000)])
    cut(all="", third="vlan == 3")
    for name, rest in (("all", {0, 1, 2, 3, 4}), ("third", {3})):
        packets = pcapng_reader.read((tmp_path / name).read_bytes()).packets
        large = [at for at in range(150, 160) if at % 5 in rest]
        assert [(packet.time_ns - T) // MS for packet in packets if packet.wire > 90_000] == large
