from __future__ import annotations

import pytest

from allegro.capture.extraction.coverage import (
    DAMAGED,
    OVERWRITTEN,
    Findings,
    Ring,
    Up,
    Window,
    notes,
)
from allegro.words import duration, exact_moment

S = 1_000_000_000
NOON = 1_795_262_400 * S  # 2026-11-21 12:00:00 UTC
WINDOW = Window(NOON, NOON + 60 * S)
NOW = NOON + 62 * S
UP = (Up(NOON - 1000 * S, NOW - S),)
WHOLE = Ring((NOON - 500 * S, NOON + 61 * S), wrapped=True, up=UP)


def told(
    *,
    window: Window = WINDOW,
    ring: Ring = WHOLE,
    findings: Findings | None = None,
    packets: int = 1,
    now: int = NOW,
) -> list[str]:
    return notes(window, ring, findings or Findings(), packets, now)


def at(seconds: float) -> str:
    return exact_moment(NOON + int(seconds * S))


def test_a_window_that_is_covered_needs_no_note() -> None:
    assert told() == []


@pytest.mark.spec("T6")
def test_an_empty_file_says_why() -> None:
    assert told(packets=0) == [
        "No packet is in this file: nothing was received on any measuring port in this window."
    ]
    assert told(packets=0, ring=Ring(None, wrapped=False, up=UP)) == [
        "No packet is in this file.",
        "The ring holds no packets.",
    ]
    assert told(packets=0, ring=Ring((NOON + 90 * S, NOON + 99 * S), wrapped=True, up=UP)) == [
        "No packet is in this file.",
        f"The ring reaches back only to {at(90)}: the whole window lies before that.",
    ]
    assert told(packets=0, now=NOON - 5 * S, ring=Ring((0, 1), wrapped=False, up=(Up(0, NOON - 5 * S),))) == [
        "No packet is in this file.",
        f"The window begins in the future; this file was made at {at(-5)}.",
    ]


@pytest.mark.spec("T6", "T3")
def test_a_ring_that_is_too_short() -> None:
    ring = Ring((NOON + 35 * S, NOON + 61 * S), wrapped=True, up=UP)
    assert told(ring=ring) == [
        f"The ring reaches back only to {at(35)}: the first 35 s of the window are missing."
    ]


def test_a_ring_that_has_overwritten_nothing_is_not_too_short() -> None:
    assert told(ring=Ring((NOON + 35 * S, NOON + 61 * S), wrapped=False, up=UP)) == []


def test_a_window_that_is_not_over() -> None:
    assert told(now=NOON + 20 * S, ring=Ring(WHOLE.bounds, wrapped=True, up=(Up(0, NOON + 19 * S),))) == [
        f"This file was made at {at(20)}, 40 s before the end of the window."
    ]


@pytest.mark.spec("T6", "R5")
@pytest.mark.parametrize(
    ("up", "down"),
    [
        ([(-100, 61)], []),
        ([(-100, 10), (20, 61)], [(10, 20)]),
        ([(-100, 10), (20, 30), (30.5, 61)], [(10, 20), (30, 30.5)]),
        ([(-100, -50), (-20, 61)], []),
        ([(30, 61)], [(0, 30)]),
        ([(-100, 40)], [(40, 60)]),
        ([(-100, -40)], [(0, 60)]),
        ([(70, 100)], [(0, 60)]),
        ([(20, 61), (-100, 10)], [(10, 20)]),
        ([(-100, 61), (10, 20)], []),
        ([], []),
    ],
)
def test_when_the_recorder_was_down(up: list[tuple[float, float]], down: list[tuple[float, float]]) -> None:
    runs = [Up(NOON + int(start * S), NOON + int(alive * S)) for start, alive in up]
    expected = [
        f"The recorder was not running from {at(start)} to {at(end)} ({duration(end - start)})."
        for start, end in down
    ]
    assert told(ring=Ring(WHOLE.bounds, wrapped=True, up=runs)) == expected


def test_a_recorder_that_was_heard_of_a_moment_ago_is_running() -> None:
    ring = Ring(WHOLE.bounds, wrapped=True, up=(Up(0, NOON + 58 * S),))
    assert told(ring=ring) == []
    assert told(ring=ring, now=NOON + 64 * S) == [
        f"The recorder was not running from {at(58)} to {at(60)} (2 s)."
    ]


def test_after_the_clock_was_set_back_the_run_of_now_is_the_running_one() -> None:
    before, now = Up(NOON + 3600 * S, NOON + 7200 * S), Up(NOON - S, NOON + 58 * S)
    assert told(ring=Ring(WHOLE.bounds, wrapped=True, up=(now, before))) == []


@pytest.mark.spec("R5")
def test_losses_per_port_and_time() -> None:
    why = "because the recorder could not keep up"
    findings = Findings()
    findings.lose(findings.system_losses, "port1", 2, NOON + 1 * S, NOON + 2 * S)
    findings.lose(findings.system_losses, "port1", 1, NOON + 3 * S, NOON + 4 * S)
    findings.lose(findings.system_losses, "port1", 1, NOON + 30 * S, NOON + 31 * S)
    findings.lose(findings.card_losses, "port2", 9, NOON + 5 * S, NOON + 5 * S)
    assert told(findings=findings) == [
        f"3 packets were lost on port1 between about {at(1)} and {at(4)} {why}.",
        f"1 packet was lost on port1 between about {at(30)} and {at(31)} {why}.",
        f"9 packets were lost on port2 at about {at(5)} in the network card.",
    ]
    assert (findings.drops("port1"), findings.nic_missed("port1")) == (4, 0)
    assert (findings.drops("port2"), findings.nic_missed("port2")) == (0, 9)


def test_many_losses_do_not_make_many_notes() -> None:
    findings = Findings()
    for number in range(100_000):
        findings.lose(findings.system_losses, "port1", 1, NOON + number * 10 * S, NOON + number * 10 * S)
    assert len(told(findings=findings)) < 20
    assert findings.drops("port1") == 100_000


@pytest.mark.spec("T6", "R5")
def test_what_could_not_be_read() -> None:
    findings = Findings()
    findings.hole(DAMAGED, "port1", 5, NOON + 5 * S, NOON + 6 * S)
    findings.hole(DAMAGED, "port1", 7, NOON + 3 * S, NOON + 4 * S)
    findings.hole(OVERWRITTEN, "port2", 1, NOON, NOON + 1 * S)
    findings.miss(1, NOON + 8 * S, NOON + 9 * S)
    findings.clock_set_back_ns = NOON + 9 * S
    assert told(findings=findings) == [
        f"The device's clock was set back near {at(9)}: "
        "packets around that time are not in the order of their times.",
        f"Up to 12 packets of port1 between {at(3)} and {at(6)} are missing: they are damaged on the disk.",
        f"Up to 1 packet of port2 between {at(0)} and {at(1)} are missing: they were already overwritten.",
        f"1 piece of the recording between {at(8)} and {at(9)} is missing: damaged or overwritten.",
    ]
    findings.miss(2, NOON + 8 * S, NOON + 9 * S)
    assert told(findings=findings)[-1].startswith("3 pieces of the recording between")
