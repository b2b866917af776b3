"""A capture of numbered packets is judged: what is missing has to be told, for as long as it took."""

from math import inf

import pytest

from allegro.capture.extraction import coverage
from tests.harness.captures import Capture, Packet, PortStatistics
from tests.harness.frames import udp_frame
from tests.harness.numbered import Away, Sent, away, faults

START_S = 1_796_100_000  # 2026-12-01 04:40:00 UTC
RATE = 10
SENT = Sent(7, 100, "port1", [number / RATE for number in range(1000)])
MUST, MAY = range(100, 900), range(50, 950)
PRESSED = (90.0, 90.0)
PRESS = "press: 2026-12-01T04:41:30.123456789Z"


def packet(number: int, *, series: int = 7, port: str = "port1", late_s: float = 0.0) -> Packet:
    time_ns = int((START_S + number / RATE + late_s) * 1e9)
    return Packet(time_ns, port, udp_frame(number, size=100, series=series), 100)


def capture(*numbers: range, comment: str = "", drops: int = 0) -> Capture:
    statistics = {"port1": PortStatistics(received=900, interface_drops=0, os_drops=drops)}
    packets = [packet(number) for each in numbers for number in each]
    return Capture(f"{PRESS}\n{comment}", ["port1"], packets, statistics)


def told(start: str, end: str, what: str = "port1 had no link") -> str:
    return f"note: {what} from 2026-12-01 {start} UTC to 2026-12-01 {end} UTC (some s)."


def test_all_of_them_once_and_some_more_are_right() -> None:
    assert faults(capture(range(100, 900)), SENT, MUST, MAY, PRESSED) == []
    assert faults(capture(range(60, 940)), SENT, MUST, MAY, PRESSED) == []


@pytest.mark.parametrize("gap", [range(100, 101), range(300, 420), range(899, 900)])
def test_what_is_missing_and_not_told_is_named(gap: range) -> None:
    (words,) = faults(capture(range(60, gap.start), range(gap.stop, 940)), SENT, MUST, MAY, PRESSED)
    assert f"{len(gap)} packets are missing, {gap.start} to {gap[-1]}, and" in words


def test_an_empty_file_must_say_why() -> None:
    assert "800 packets are missing, 100 to 899, and" in faults(capture(), SENT, MUST, MAY, PRESSED)[0]


@pytest.mark.parametrize("what", ["port1 had no link", "The recorder was not running", "port1 was not there"])
def test_a_gap_is_told_by_a_time_as_long_as_it_was(what: str) -> None:
    numbers = (range(60, 300), range(500, 940))  # 20 s from 04:40:30 on
    assert (
        faults(
            capture(*numbers, comment=told("04:40:30.100", "04:40:49.900", what)), SENT, MUST, MAY, PRESSED
        )
        == []
    )
    too_short = told("04:40:30.100", "04:40:40.000", what)
    assert faults(capture(*numbers, comment=too_short), SENT, MUST, MAY, PRESSED) != []
    elsewhere = told("04:41:00.000", "04:41:20.000", what)
    assert faults(capture(*numbers, comment=elsewhere), SENT, MUST, MAY, PRESSED) != []


def test_times_are_those_of_the_clock_at_the_press() -> None:
    numbers = (range(60, 300), range(500, 940))
    hour_later = capture(*numbers, comment=told("05:40:30.000", "05:40:50.000"))
    assert faults(hour_later, SENT, MUST, MAY, PRESSED) != []
    hour_later.comment = hour_later.comment.replace("press: 2026-12-01T04", "press: 2026-12-01T05")
    assert faults(hour_later, SENT, MUST, MAY, PRESSED) == []


def test_another_port_without_a_link_explains_nothing() -> None:
    comment = told("04:40:30.000", "04:40:50.000", "port2 had no link")
    assert faults(capture(range(60, 300), range(500, 940), comment=comment), SENT, MUST, MAY, PRESSED) != []


def test_what_one_had_no_link_and_then_was_off_is_told_by_both() -> None:
    parts = (
        told("04:40:30.000", "04:40:40.000"),
        told("04:40:40.000", "04:40:50.000", "The recorder was not running"),
    )
    assert (
        faults(capture(range(60, 300), range(500, 940), comment="\n".join(parts)), SENT, MUST, MAY, PRESSED)
        == []
    )


def test_the_products_own_words_are_understood() -> None:
    start_ns, end_ns = int((START_S + 30) * 1e9), int((START_S + 50) * 1e9)
    window = coverage.Window(START_S * 10**9, int((START_S + 100) * 1e9))
    runs = [coverage.Up(window.start_ns, start_ns), coverage.Up(end_ns, window.end_ns)]
    for what in (coverage.LINK, coverage.PORT, coverage.RING, "off"):
        found = coverage.Findings(away=[coverage.Away(what, "port1", start_ns, end_ns, "The disk is full.")])
        ring = coverage.Ring(False, None, runs)
        words = (
            coverage.notes(window, ring, coverage.Findings(), 1, window.end_ns)
            if what == "off"
            else coverage.happenings(window, found)
        )
        assert away("\n".join(words), "port1") == [Away(START_S + 30, START_S + 50)], words
    for start, end in ((None, end_ns), (start_ns, None)):
        found = coverage.Findings(away=[coverage.Away(coverage.LINK, "port1", start, end)])
        (said,) = away("\n".join(coverage.happenings(window, found)), "port1")
        assert said == Away(START_S + 30 if start else -inf, START_S + 50 if end else inf)


def test_counted_losses_count_once() -> None:
    one, other = (range(60, 300), range(310, 940)), (range(60, 300), range(310, 600), range(610, 940))
    assert faults(capture(*one, drops=10), SENT, MUST, MAY, PRESSED) == []
    assert faults(capture(*one, drops=9), SENT, MUST, MAY, PRESSED) != []
    assert faults(capture(*other, drops=20), SENT, MUST, MAY, PRESSED) == []
    (words,) = faults(capture(*other, drops=19), SENT, MUST, MAY, PRESSED)
    assert "20 packets are missing, 300 to 609, and the file tells of 19" in words


def test_twice_out_of_order_changed_or_not_of_the_window_is_wrong() -> None:
    assert faults(capture(range(100, 900), range(899, 900)), SENT, MUST, MAY, PRESSED) == [
        "packet 899 follows packet 899"
    ]
    assert faults(capture(range(100, 500), range(450, 900)), SENT, MUST, MAY, PRESSED) == [
        "packet 450 follows packet 499"
    ]
    assert (
        "2 packets are not of range(50, 950)" in faults(capture(range(48, 900)), SENT, MUST, MAY, PRESSED)[0]
    )
    changed = capture(range(100, 900))
    changed.packets[5] = Packet(changed.packets[5].time_ns, "port1", changed.packets[5].data[:-1] + b"x", 100)
    assert faults(changed, SENT, MUST, MAY, PRESSED) == ["packet 105 has been changed"]
    for strange in (packet(950, series=8), packet(950, port="port2"), Packet(1, "port1", b"x" * 60, 60)):
        stray = capture(range(100, 900))
        stray.packets.append(strange)
        assert "that nobody sent" in faults(stray, SENT, MUST, MAY, PRESSED)[0]


def test_what_begins_before_the_window_or_goes_on_has_no_end() -> None:
    assert away("port1 had no link until 2026-12-01 04:40:01.500 UTC.", "port1") == [
        Away(-inf, START_S + 1.5)
    ]
    assert away("port1 had no link from 2026-12-01 04:40:01.500 UTC on.", "port1") == [
        Away(START_S + 1.5, inf)
    ]
    open_end = capture(range(60, 300), comment="port1 had no link from 2026-12-01 04:40:30.000 UTC on.")
    assert faults(open_end, SENT, MUST, MAY, PRESSED) == []


def test_those_of_a_time_are_found() -> None:
    assert SENT.between(1.0, 2.0) == range(10, 20)
    assert SENT.between(-5, 0.05) == range(1)
    assert SENT.between(99.85, 200) == range(999, 1000)
