import pytest

from allegro.capture.recorder.discards import Discards, Untold

pytestmark = pytest.mark.spec("R12")


def test_what_the_interface_received_and_the_socket_did_not_see_was_discarded() -> None:
    discards = Discards()
    discards.sample(50, 0)  # nothing discards yet
    assert (discards.counting, discards.total, discards.take(5)) == (False, 0, None)
    discards.begin(100, 80, 10)
    discards.sample(130, 90)
    assert (discards.counting, discards.total) == (True, 20)
    assert discards.take(20) == Untold(20, 10)
    assert discards.take(30) is None
    discards.sample(150, 95)
    assert discards.take(40) == Untold(15, 30)


def test_a_counter_that_is_late_or_gone_takes_nothing_back() -> None:
    discards = Discards()
    discards.begin(100, 100, 0)
    discards.sample(130, 100)
    for received in (120, 0, 130):
        discards.sample(received, 100)
        assert discards.total == 30
    discards.sample(131, 100)
    assert discards.total == 31


def test_what_passes_while_nothing_discards_is_not_counted() -> None:
    discards = Discards()
    discards.begin(0, 0, 1)
    discards.sample(10, 0)
    discards.begin(10, 0, 2)  # another program that discards: it goes on
    discards.sample(15, 0)
    discards.end()
    discards.sample(100, 0)
    discards.begin(100, 50, 3)
    discards.sample(101, 50)
    assert discards.total == 16
    assert discards.take(9) == Untold(16, 1)
