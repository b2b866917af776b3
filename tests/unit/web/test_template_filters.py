import pytest

from allegro.web import template_filters


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "\u2013"),
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (5e14, "500 TB"),
    ],
)
def test_sizes(count: float | None, text: str) -> None:
    assert template_filters.size(count).replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0, "0 bit/s"), (125_000, "1.0 Mbit/s"), (117_500_000, "940 Mbit/s"), (5e9, "40.0 Gbit/s")],
)
def test_rates(rate: float, text: str) -> None:
    assert template_filters.bit_rate(rate).replace("\u00a0", " ") == text


def test_a_duration_stays_on_its_line() -> None:
    assert template_filters.duration(3660) == "1\u00a0h\u00a01\u00a0min"


def test_times() -> None:
    assert template_filters.moment("2026-11-21T14:30:05.123456789Z") == "2026-11-21 14:30:05 UTC"
    assert template_filters.moment(None) == "\u2013"
