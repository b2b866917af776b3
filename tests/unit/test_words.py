import pytest

from allegro import words

TIME_NS = 1_795_271_405_001_002_003


def test_times() -> None:
    assert words.utc(TIME_NS) == "2026-11-21T14:30:05.001002003Z"
    assert words.moment(TIME_NS) == "2026-11-21 14:30:05 UTC"
    assert words.exact_moment(TIME_NS + 998_000_000) == "2026-11-21 14:30:05.999 UTC"


def test_an_unknown_time() -> None:
    assert words.utc_or_none(None) is None
    assert words.utc_or_none(TIME_NS) == words.utc(TIME_NS)


def test_a_time_beyond_the_calendar_is_a_number() -> None:
    assert words.utc((1 << 63) - 1) == "2262-04-11T23:47:16.854775807Z"
    assert words.utc(1 << 72) == f"{1 << 72} ns"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (16 << 20, "16.8 MB"), (999_600_000, "1.0 GB")],
)
def test_sizes(size: int, text: str) -> None:
    assert words.size(size) == text


def test_a_size_that_is_set_is_told_in_both_units() -> None:
    assert words.as_set(1 << 30) == "1024 MiB (1.1 GB)"
    assert words.as_set(1) == "1 MiB (1 bytes)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (1e-9, "1 ms"),
        (0.12, "120 ms"),
        (35, "35 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3605, "1 h"),
        (3661, "1 h 1 min"),
        (90061, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text
