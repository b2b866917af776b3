from __future__ import annotations

import random

import pytest

from allegro.capture.recorder.completeness import Completeness


def told(known: Completeness, last_written: int, now: int, published: int | None = None) -> int:
    known.claim(last_written, now)
    known.published(last_written if published is None else published)
    return known.through_ns


@pytest.mark.spec("R4")
def test_the_port_that_is_least_far_decides() -> None:
    known = Completeness()
    known.open("a", 100)
    known.open("b", 100)
    assert told(known, 0, 150) == 100
    known.reached("a", 300)
    assert told(known, 1, 350) == 100
    known.reached("b", 200)
    assert told(known, 2, 350) == 200
    known.forget("b")
    assert told(known, 2, 350) == 300


@pytest.mark.spec("R4")
def test_without_ports_everything_is_complete() -> None:
    assert told(Completeness(), 0, 500) == 500


@pytest.mark.spec("R4")
def test_written_is_not_found_yet() -> None:
    known = Completeness()
    known.open("a", 0)
    known.reached("a", 300)
    assert told(known, 5, 350, published=4) == 0
    known.reached("a", 400)
    assert told(known, 6, 450, published=5) == 300
    known.published(6)
    assert known.through_ns == 400


@pytest.mark.spec("R4", "R10")
def test_a_loss_is_passed_only_when_its_record_can_be_found() -> None:
    known = Completeness()
    known.open("a", 0)
    known.lost("a", 200)
    known.reached("a", 900)
    assert told(known, 5, 950) == 200
    known.telling("a", 7)
    assert told(known, 6, 950) == 200
    known.claim(7, 950)
    known.published(6)
    assert known.through_ns == 200
    known.published(7)
    assert known.through_ns == 900


@pytest.mark.spec("R4", "R5")
def test_a_record_that_was_not_written_tells_nothing() -> None:
    known = Completeness()
    known.open("a", 0)
    known.lost("a", 200)
    known.telling("a", 7)
    known.lost("a", 500)
    known.not_written("a", 7)
    known.reached("a", 900)
    assert told(known, 8, 950) == 200
    known.telling("a", 9)
    assert told(known, 9, 950) == 900


def test_a_ring_that_is_closed_keeps_no_promise_but_what_it_has_kept() -> None:
    known = Completeness()
    known.open("a", 0)
    known.reached("a", 300)
    known.claim(5, 350)
    known.ring_closed()
    known.published(9)
    assert known.through_ns == 0


@pytest.mark.spec("R4", "R10")
def test_it_never_falls_and_never_passes_an_untold_loss() -> None:
    """Random histories of three ports; a model remembers every loss that no published record tells."""
    rng = random.Random(7)
    for _ in range(300):
        known = Completeness()
        now, sequence, written, published = 1000, 0, 0, 0
        untold: dict[str, int] = {}
        under_way: dict[int, tuple[str, int]] = {}
        for port in "abc":
            known.open(port, now)
        before = 0
        for _ in range(60):
            now += rng.randrange(1, 50)
            port = rng.choice("abc")
            match rng.randrange(5):
                case 0 if port not in untold:
                    since = now - rng.randrange(1, 20)
                    untold[port] = since
                    known.lost(port, since)
                case 1 if port in untold:
                    sequence += 1
                    under_way[sequence] = (port, untold.pop(port))
                    known.telling(port, sequence)
                case 2:
                    written = rng.randint(written, sequence)
                    known.reached(port, now - 20)
                case 3:
                    published = rng.randint(published, written)
            known.claim(written, now)
            known.published(published)
            hidden = [since for number, (_, since) in under_way.items() if number > published]
            # Times before a loss may have been claimed before the loss was known to have begun then.
            bound = min([*untold.values(), *hidden], default=now)
            assert known.through_ns >= before
            assert known.through_ns <= max(bound, before)
            before = known.through_ns
