import math

import pytest

from allegro.errors import InvalidInput
from allegro.trigger.windows import Span, checked_span, checked_time, parsed_time
from allegro.words import SECOND_NS

NOW = 1795271405 * SECOND_NS  # 2026-11-21 14:30:05 UTC


@pytest.mark.spec("T3")
class TestSpan:
    @pytest.mark.parametrize(("before", "after"), [(0, 0), (86400, 3600), (60, 0), (0.5, 0.25)])
    def test_allowed(self, before: float, after: float) -> None:
        assert checked_span(before, after) == Span(round(before * 10**9), round(after * 10**9))

    @pytest.mark.parametrize(
        ("before", "after", "place"),
        [
            (-1, 0, "before_s"),
            (86401, 0, "before_s"),
            (math.nan, 0, "before_s"),
            (True, 0, "before_s"),
            ("60", 0, "before_s"),
            (0, -0.001, "after_s"),
            (0, 3601, "after_s"),
            (0, math.inf, "after_s"),
        ],
    )
    def test_refused_with_its_place(self, before: float, after: float, place: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            checked_span(before, after)
        assert caught.value.place == place
        assert "86400" in caught.value.message or "3600" in caught.value.message


@pytest.mark.spec("T3")
class TestTime:
    def test_window_that_begins_in_the_future_is_refused(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            checked_time(NOW + 61 * SECOND_NS, checked_span(60, 0), NOW)
        assert "2026-11-21 14:30:06 UTC" in caught.value.message
        assert "clock says 2026-11-21 14:30:05 UTC" in caught.value.message

    def test_window_that_has_begun_is_fine(self) -> None:
        assert checked_time(NOW + 60 * SECOND_NS, checked_span(60, 0), NOW) == NOW + 60 * SECOND_NS

    def test_before_1970_is_refused(self) -> None:
        with pytest.raises(InvalidInput, match="1970"):
            checked_time(-1, checked_span(0, 0), NOW)

    @pytest.mark.parametrize(
        "text",
        [
            "2026-11-21T14:30:05Z",
            "2026-11-21T14:30:05",
            "2026-11-21 15:30:05+01:00",
            " 20261121T143005Z ",
            "2026-11-21T14:30:05.000Z",
        ],
    )
    def test_iso_8601(self, text: str) -> None:
        assert parsed_time(text) == NOW

    def test_microseconds_are_kept(self) -> None:
        assert parsed_time("2026-11-21T14:30:05.123456Z") == NOW + 123_456_000

    @pytest.mark.parametrize("text", ["", "now", "14:30", "2026-13-01T00:00:00Z", "1795271405"])
    def test_what_is_no_time_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            parsed_time(text)
        assert caught.value.place == "time"

    @pytest.mark.parametrize("text", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+00:01"])
    def test_beyond_the_calendar_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidInput, match="years 1 to 9999") as caught:
            parsed_time(text)
        assert caught.value.place == "time"
