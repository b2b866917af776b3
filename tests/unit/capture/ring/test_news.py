from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.capture.ring import news
from allegro.capture.ring import record as blocks
from allegro.capture.ring.losses import Losses
from allegro.capture.ring.news import ClockStepped, LinkDown, News, PortClosed, PortOpened, RulesChanged

RING = bytes(range(16))
everything = st.one_of([st.from_type(kind) for kind in news.KINDS.values()])


def written(payload: bytes) -> memoryview:
    image = memoryview(bytearray(news.LENGTH))
    blocks.write_empty_block(image, payload, 1_795_270_000_123_456_789)
    blocks.seal(image, RING, 5, 1, 1, "port1", Losses(drops=7), flags=blocks.FLAG_NEWS)
    return image


@pytest.mark.spec("R10")
@given(st.lists(everything, max_size=8))
def test_all_news_come_back_as_they_were(told: list[News]) -> None:
    waiting = list(told)
    back: list[News] = []
    while waiting:
        payload, count = news.pack(waiting)
        assert count > 0
        back += news.parse(written(payload))
        del waiting[:count]
    for one, other in zip(back, told, strict=True):
        assert type(one) is type(other)
        assert (one.boot_ns, one.wall_ns) == (other.boot_ns, other.wall_ns)


@pytest.mark.spec("R10")
def test_a_record_of_news_is_an_empty_record_with_losses() -> None:
    told = [PortOpened(1, 2, "port1"), ClockStepped(3, 4, size_ns=-2_000_000_000, within_ns=5)]
    image = written(news.pack(told)[0])
    record = blocks.read_record(image, RING)
    blocks.check(image, record)
    assert record.is_news
    assert (record.packets, record.length, record.drops) == (0, 4096, 7)
    assert record.first_ns == record.last_ns == 1_795_270_000_123_456_789
    assert blocks.packet_count(image) == 0
    assert list(news.parse(image)) == told


def test_a_text_too_long_for_a_record_is_cut() -> None:
    rules = RulesChanged(1, 2, "\N{SNOWMAN}\0" * 10_000)
    payload, count = news.pack([rules, LinkDown(1, 2, "port1")])
    assert count == 1
    (found,) = news.parse(written(payload))
    assert isinstance(found, RulesChanged)
    assert rules.text.startswith(found.text)
    assert len(found.text) >= 300


@pytest.mark.spec("U7")
def test_what_a_newer_version_tells_is_left_out() -> None:
    known = {"kind": "PortClosed", "boot_ns": 1, "wall_ns": 2, "port": "port1"}
    entries: list[object] = [
        {"kind": "Unheard", "boot_ns": 1, "wall_ns": 2},
        {**known, "why": "x"},
        {**known, "port": 3},
    ]
    entries += [5, None, {"kind": "News"}, {"kind": "PortClosed"}, {"kind": []}]
    assert news.parse(written(json.dumps(entries).encode())) == (PortClosed(1, 2, "port1"),)


@given(st.binary(max_size=3000))
def test_rubbish_tells_nothing(payload: bytes) -> None:
    assert isinstance(news.parse(written(payload)), tuple)
    assert news.parse(payload) == ()
