import pytest

from allegro.capture.recent import RECENT_S, RecentMaximum


@pytest.mark.spec("R6")
def test_a_peak_is_shown_for_a_minute() -> None:
    recent = RecentMaximum()
    assert recent.value(1000.0) == 0
    recent.note(0.5, 1000.0)
    recent.note(0.2, 1001.0)
    for second in range(2, 200):
        recent.note(0.1, 1000.0 + second)
        expected = 0.5 if second <= RECENT_S else 0.1 if second > RECENT_S + 5 else None
        assert expected is None or recent.value(1000.0 + second) == expected, second


def test_without_news_a_peak_is_forgotten_as_well() -> None:
    recent = RecentMaximum()
    recent.note(3.0, 50.0)
    assert recent.value(50.0 + RECENT_S) == 3.0
    assert recent.value(50.0 + RECENT_S + 6) == 0
