from __future__ import annotations

import pytest

from allegro.capture.recorder.outbox import Outbox, write_letter
from allegro.capture.ring import news, record
from allegro.capture.ring.losses import Losses
from allegro.capture.ring.news import PortClosed, PortOpened, RingOpened
from allegro.capture.ring.record import Times


@pytest.mark.spec("R10")
def test_news_come_in_their_order_and_losses_under_their_port() -> None:
    outbox = Outbox()
    assert not outbox.waiting()
    opened, closed = PortOpened(5, 6, "port2"), PortClosed(7, 8, "port2")
    outbox.add(opened)
    outbox.add(closed)
    outbox.lose("port1", Losses(drops=3, from_boot_ns=4, until_boot_ns=9))
    outbox.lose("port1", Losses())
    assert outbox.waiting()
    assert outbox.since_ns() == 4
    letter = outbox.next()
    assert (letter.port_name, letter.losses.drops, letter.news) == ("port1", 3, (opened, closed))
    assert not outbox.waiting()
    outbox.add(RingOpened(9, 10))
    outbox.give_back(letter)
    again = outbox.next()
    assert again.news == (opened, closed, RingOpened(9, 10))
    assert again.losses == letter.losses


@pytest.mark.spec("R10", "U7")
def test_a_letter_becomes_a_record_of_a_port_that_there_is() -> None:
    outbox = Outbox()
    outbox.add(PortOpened(5, 6, "port12"))
    block, made = write_letter(outbox.next(), bytes(16), 7, 1, 60, Times(bytes(range(16)), 50, 50, 10, 0))
    assert record.read_record(block, bytes(16)) == made
    assert (made.port_name, made.port_index, made.packets, made.is_news) == ("port12", 12, 0, True)
    assert (made.first_ns, made.first_boot_ns) == (60, 50)
    assert news.parse(block) == (PortOpened(5, 6, "port12"),)
    block.release()
    outbox.add(RingOpened(9, 10))
    assert outbox.next().port_name == "port12"


def test_many_news_fill_several_records() -> None:
    outbox = Outbox()
    items = [PortOpened(number, number, f"port{number}") for number in range(500)]
    outbox.add(*items)
    found: list[object] = []
    while outbox.waiting():
        found += outbox.next().news
    assert found == items
