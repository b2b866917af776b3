from __future__ import annotations

import pytest

from allegro.capture.extraction.coverage import (
    BEGUN,
    DAMAGED,
    KINDS,
    LINK,
    OVERWRITTEN,
    PORT,
    RING,
    Away,
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
WHOLE = Ring(False, NOON - 500 * S, UP)


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
    assert told(packets=0, ring=Ring(True, None, UP)) == [
        "No packet is in this file.",
        "The ring holds no packets.",
    ]
    assert told(packets=0, ring=Ring(False, NOON + 90 * S, UP)) == [
        "No packet is in this file.",
        f"The ring reaches back only to {at(90)}: the whole window lies before that.",
    ]
    assert told(packets=0, now=NOON - 5 * S, ring=Ring(False, None, (Up(0, NOON - 5 * S),))) == [
        "No packet is in this file.",
        f"The window begins in the future; this file was made at {at(-5)}.",
    ]


@pytest.mark.spec("R8", "R10")
def test_what_the_recorder_did_not_say_to_be_on_the_disk_is_told_where_it_was_running() -> None:
    ended = Ring(False, None, (Up(NOON - 1000 * S, NOON + 20 * S),))
    unsaid = (
        f"The recorder did not say in time that what came in after {at(10)} is on the disk: packets of this"
        " window may be missing from then on."
    )
    stopped = f"The recorder was not running from {at(20)} to {at(60)} (40 s)."
    for ring, sentences in ((WHOLE, [unsaid]), (ended, [stopped, unsaid])):
        assert notes(WINDOW, ring, Findings(), 1, NOW, said_ns=NOON + 10 * S) == sentences
    assert notes(WINDOW, ended, Findings(), 1, NOW, said_ns=NOON + 20 * S) == [stopped]
    assert notes(WINDOW, Ring(False, None, ()), Findings(), 0, NOW, said_ns=NOON + 10 * S) == [
        "No packet is in this file.",
        unsaid,
    ]


@pytest.mark.spec("T6", "T3")
def test_a_ring_that_is_too_short() -> None:
    ring = Ring(False, NOON + 35 * S, UP)
    assert told(ring=ring) == [
        f"The ring reaches back only to {at(35)}: the first 35 s of the window are missing."
    ]


def test_a_ring_that_has_overwritten_nothing_is_not_too_short() -> None:
    assert told(ring=Ring(False, None, UP)) == []


def test_a_window_that_is_not_over() -> None:
    assert told(now=NOON + 20 * S, ring=Ring(False, WHOLE.oldest_ns, (Up(0, NOON + 19 * S),))) == [
        f"This file was made at {at(20)}, 40 s before the end of the window."
    ]


@pytest.mark.spec("T6", "R5", "R8")
def test_of_before_it_was_begun_a_ring_does_not_know_whether_the_recorder_was_running() -> None:
    begun = Away(BEGUN, "", None, NOON + 20 * S, "The disk does not take packets.")
    assert told(ring=Ring(False, None, (Up(NOON + 10 * S, NOW),)), findings=Findings(away=[begun])) == [
        f"The packet ring was begun anew at {at(20)}: The disk does not take packets. It holds nothing that"
        " came in before."
    ]
    later = Window(NOON + 21 * S, NOON + 60 * S)
    assert told(window=later, findings=Findings(away=[begun])) == []


@pytest.mark.spec("T6")
def test_of_what_is_overwritten_it_is_not_told_when_the_recorder_was_running() -> None:
    assert told(ring=Ring(False, NOON + 30 * S, (Up(NOON + 10 * S, NOW),))) == [
        f"The ring reaches back only to {at(30)}: the first 30 s of the window are missing."
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
    assert told(ring=Ring(False, WHOLE.oldest_ns, runs)) == expected


@pytest.mark.spec("R10", "T6")
def test_of_a_recorder_that_was_cut_off_no_more_is_said_than_is_known() -> None:
    """It was up for some time after what it last had on disk."""
    runs = (Up(NOON - 1000 * S, NOON + 10 * S, ended=False), Up(NOON + 20 * S, NOON + 61 * S))
    assert told(ring=Ring(False, None, runs)) == [
        f"The recorder was not running from {at(10)} to {at(20)} (10 s), or had not written yet what came in."
    ]
    long_ago = (Up(NOON - 2000 * S, NOON - 1000 * S, ended=False), runs[1])
    assert told(ring=Ring(False, None, long_ago)) == [
        f"The recorder was not running from {at(0)} to {at(20)} (20 s)."
    ]


@pytest.mark.spec("R10", "T6", "W5")
def test_a_recorder_that_has_left_the_ring_may_have_gone_on_elsewhere() -> None:
    """Until the device was started again: only the other ring knows how long."""
    runs = (
        Up(NOON - 2000 * S, NOON - 1000 * S, ended=False, left=True),
        Up(NOON + 20 * S, NOON + 61 * S),
    )
    assert told(ring=Ring(False, None, runs)) == [
        f"The recorder was not running from {at(0)} to {at(20)} (20 s), or kept packets in another ring"
        " (on another disk, or in memory)."
    ]


@pytest.mark.spec("T6")
def test_what_is_shorter_than_its_own_words_can_say_is_told_as_that() -> None:
    runs = (Up(NOON - 1000 * S, NOON + 10 * S), Up(NOON + 10 * S + 999_999, NOON + 61 * S))
    assert told(ring=Ring(False, None, runs)) == [
        f"The recorder was not running for less than 1 ms at {at(10)}."
    ]


def test_a_recorder_that_was_heard_of_a_moment_ago_is_running() -> None:
    ring = Ring(False, WHOLE.oldest_ns, (Up(0, NOON + 58 * S),))
    assert told(ring=ring) == []
    assert told(ring=ring, now=NOON + 64 * S) == [
        f"The recorder was not running from {at(58)} to {at(60)} (2 s)."
    ]


def test_after_the_clock_was_set_back_the_run_of_now_is_the_running_one() -> None:
    before, now = Up(NOON + 3600 * S, NOON + 7200 * S), Up(NOON - S, NOON + 58 * S)
    assert told(ring=Ring(False, WHOLE.oldest_ns, (now, before))) == []


@pytest.mark.spec("R5")
def test_losses_per_port_and_time() -> None:
    why = "because the recorder could not keep up"
    findings = Findings()
    findings.lose("drops", "port1", 2, NOON + 1 * S, NOON + 2 * S)
    findings.lose("drops", "port1", 1, NOON + 3 * S, NOON + 4 * S)
    findings.lose("drops", "port1", 1, NOON + 30 * S, NOON + 31 * S)
    findings.lose("missed", "port2", 9, NOON + 5 * S, NOON + 5 * S)
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
        findings.lose("drops", "port1", 1, NOON + number * 10 * S, NOON + number * 10 * S)
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


@pytest.mark.spec("R12")
def test_every_kind_of_loss_is_named_and_counted() -> None:
    findings = Findings()
    for number, kind in enumerate(KINDS, 1):
        findings.lose(kind, "port1", number, NOON, NOON + S)
    sentences = told(findings=findings)
    assert len(sentences) == len(set(sentences)) == len(KINDS)
    assert [sentence.split()[0] for sentence in sentences] == [str(number) for number in range(1, 9)]
    assert sentences[6] == (
        f"7 frames were refused by the network card of port1 between about {at(0)} and {at(1)},"
        " as they were damaged on the wire."
    )
    assert (findings.drops("port1"), findings.nic_missed("port1"), findings.refused("port1")) == (6, 15, 15)


@pytest.mark.spec("R10")
@pytest.mark.parametrize(
    ("away", "sentence"),
    [
        (Away(PORT, "port2", NOON + S, NOON + 5 * S), f"port2 was not there from {at(1)} to {at(5)} (4 s)."),
        (Away(PORT, "port2", NOON + S, None), f"port2 was not there from {at(1)} on."),
        (Away(LINK, "port1", None, NOON + 5 * S), f"port1 had no link until {at(5)}."),
        (Away(LINK, "port1", NOON - 9 * S, NOON - 5 * S), None),
        (Away(LINK, "port1", NOON + 61 * S, None), None),
        (Away(RING, "", NOON, NOON + 4 * S), f"The packet ring was not open from {at(0)} to {at(4)} (4 s)."),
        (
            Away(RING, "", NOON, NOON + 4 * S, "The disk refuses."),
            f"The packet ring was not open from {at(0)} to {at(4)} (4 s): The disk refuses.",
        ),
        (Away(RING, "", NOON, NOON + S // 5), None),
    ],
)
def test_what_was_away_meanwhile(away: Away, sentence: str | None) -> None:
    findings = Findings()
    findings.away.append(away)
    assert told(findings=findings) == ([sentence] if sentence else [])


@pytest.mark.spec("R9")
def test_a_step_of_the_clock_is_told_with_moment_and_size() -> None:
    findings = Findings()
    findings.steps = [(NOON + 3600 * S, -3600 * S), (NOON + S, S // 2)]
    assert told(findings=findings) == [
        f"The device's clock was set back by 1 h, from {at(3600)} to {at(0)};"
        " packets stand in the order in which they came in.",
        f"The device's clock was set forward by 500 ms, from {at(1)} to {at(1.5)};"
        " packets stand in the order in which they came in.",
    ]


@pytest.mark.spec("R9", "T6")
@pytest.mark.parametrize("what", ["away", "lost", "down"])
def test_beside_a_step_it_is_said_by_which_clock_other_times_are(what: str) -> None:
    """Packets carry the clock's time of then: what is told for 12:00 may be a gap at 11:00 in them."""
    findings = Findings()
    findings.steps = [(NOON + S, 3600 * S)]
    up: tuple[Up, ...] = (Up(0, NOW),)
    if what == "away":
        findings.away.append(Away(LINK, "port1", NOON + 20 * S, NOON + 24 * S))
    elif what == "lost":
        findings.lose("drops", "port1", 5, NOON + 20 * S, NOON + 24 * S)
    else:
        up = (Up(0, NOON + 20 * S), Up(NOON + 24 * S, NOW))
    sentences = told(ring=Ring(False, None, up), findings=findings)
    assert len(sentences) == 3
    assert sentences[-1] == (
        "All other times in these notes are by the clock as it was set when this capture was asked for;"
        " packets have those of then."
    )


@pytest.mark.spec("R5", "R10")
def test_a_recorder_that_runs_and_is_behind_is_not_said_to_be_down() -> None:
    up = (Up(0, NOON + 48 * S, running=True),)
    assert told(ring=Ring(False, None, up)) == [
        f"The disk was behind: what came in after {at(48)}, the last 12 s of the window,"
        " was not on it yet when this file was made."
    ]
    assert told(ring=Ring(False, None, (Up(0, NOON + 60 * S, running=True),))) == []


@pytest.mark.spec("R9")
def test_what_has_no_place_before_the_start_is_told() -> None:
    ring = Ring(False, None, (Up(NOON + 22 * S, NOW),), unplaced_before_ns=NOON + 20 * S)
    first, second = told(ring=ring)
    assert first.startswith(
        f"The device was started at {at(20)}. What was recorded before is not in this file"
    )
    assert second == f"The recorder was not running from {at(20)} to {at(22)} (2 s)."


@pytest.mark.spec("T9")
def test_what_a_virtual_machines_host_made_is_told() -> None:
    findings = Findings()
    findings.large["port1"], findings.unfinished["port2"] = 3, 1
    findings.large["port2"], findings.unfinished["port1"] = 0, 0
    large, unfinished = told(findings=findings)
    assert large.startswith("3 packets of port1 came larger than on the wire")
    assert unfinished.startswith("1 packet of port2 has no checksum")
