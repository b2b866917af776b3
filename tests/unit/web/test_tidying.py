"""When the memory of connections that have ended is given back."""

import pytest

from allegro.web.tidying import MOST, QUIET_S, Tidying


@pytest.mark.spec("S3")
def test_many_ended_connections_are_not_waited_with() -> None:
    tidying = Tidying()
    assert [tidying.due(ended, 0.0) for ended in (0, 1, MOST - 1, MOST, MOST, 2 * MOST - 1, 2 * MOST)] == [
        *(False, False, False, True),
        *(False, False, True),
    ]


@pytest.mark.spec("S3")
def test_what_is_left_goes_once_it_is_quiet() -> None:
    tidying = Tidying()
    assert not tidying.due(3, 0.0)
    assert not tidying.due(4, QUIET_S - 1)
    assert not tidying.due(4, QUIET_S + 1)
    assert tidying.due(4, 2 * QUIET_S - 1)
    assert not tidying.due(4, 9 * QUIET_S)


@pytest.mark.spec("S3")
def test_what_ends_a_little_after_many_have_goes_too() -> None:
    tidying = Tidying()
    assert tidying.due(MOST, 0.0)
    assert not tidying.due(MOST, QUIET_S - 1)
    assert tidying.due(MOST, QUIET_S)
    assert not tidying.due(MOST, 9 * QUIET_S)


@pytest.mark.spec("S3")
def test_without_connections_nothing_is_done() -> None:
    tidying = Tidying()
    assert not any(tidying.due(0, now_s) for now_s in (0.0, QUIET_S, 9 * QUIET_S))
