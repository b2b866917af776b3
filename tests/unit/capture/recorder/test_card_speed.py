from __future__ import annotations

import pytest

from allegro.capture.recorder.card_speed import UNKNOWN, fastest_mbit, fastest_mode


@pytest.mark.spec("R5")
@pytest.mark.parametrize(
    ("modes", "speed"),
    [
        ((), UNKNOWN),
        ((0, 0, 0), UNKNOWN),
        ((0b1100_0000,), UNKNOWN),  # autonegotiation and twisted pair are no speeds
        ((0x2FF,), 1000),  # a usual card with copper
        ((0x2FF | 1 << 12,), 10_000),
        ((0x20, 1 << (47 - 32)), 2500),
        ((0, 1 << (36 - 32), 0), 100_000),
        ((0, 0, 1 << (85 - 64)), 400_000),
        ((1 << 31, 0, 0, 0xFFFF0000), 25_000),  # with modes that are not known here
    ],
)
def test_the_fastest_of_a_cards_modes(modes: tuple[int, ...], speed: int) -> None:
    assert fastest_mode(modes) == speed


def test_what_is_no_card_has_no_speed() -> None:
    assert fastest_mbit("no such port") == fastest_mbit("lo") == UNKNOWN
