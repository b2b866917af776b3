import pytest

from allegro.capture.extraction.sliced import MOST_CHANGES, Slicing

pytestmark = pytest.mark.spec("R3", "R10", "T6")

NS = 1_000_000_000
T = 1_795_270_000 * NS


def test_without_rules_nothing_is_said() -> None:
    assert Slicing().notes(T, T + NS, {}) == []
    gone = Slicing()
    gone.changed("port1", "", T - 5)
    assert gone.notes(T, T + NS, {}) == []


def test_rules_that_held_from_before_and_are_told_again_and_again_are_named_once() -> None:
    slicing = Slicing()
    for second in range(0, 60, 5):
        slicing.held("port1, port2", "1. a: discard port == 80", T + second * NS)
    assert slicing.notes(T + 7, T + 9 * NS, {}) == [
        "Rules for what is kept of packets of port1, port2: 1. a: discard port == 80."
    ]


def test_changes_in_the_window_are_told_with_their_moments() -> None:
    slicing = Slicing()
    slicing.changed("port1, port2", "1. early: keep whole ip == 10.0.0.1", T - NS)
    slicing.changed("port1, port2", "1. a: keep 96 bytes of all packets", T + NS)
    slicing.changed("port2", "", T + 2 * NS)
    slicing.changed("port1", "1. late: discard all packets", T + 20 * NS)
    assert slicing.notes(T, T + 10 * NS, {}) == [
        "Rules for what is kept of packets of port1: 1. early: keep whole ip == 10.0.0.1.",
        "From 2026-11-21 14:06:41.000 UTC on, the rules for port1 were: 1. a: keep 96 bytes of all packets.",
        "Rules for what is kept of packets of port2: 1. early: keep whole ip == 10.0.0.1.",
        "From 2026-11-21 14:06:41.000 UTC on, the rules for port2 were: 1. a: keep 96 bytes of all packets.",
        "From 2026-11-21 14:06:42.000 UTC on, packets of port2 were kept whole.",
    ]


def test_before_the_first_change_packets_were_kept_whole() -> None:
    slicing = Slicing()
    slicing.changed("port1", "1. a: discard all packets", T + NS)
    (told,) = slicing.notes(T, T + 10 * NS, {})
    assert told.startswith("From ")
    assert slicing.notes(T, T + NS - 1, {}) == []


def test_a_recorder_that_starts_again_says_what_holds_or_that_nothing_does() -> None:
    """The rules may have been changed while it did not run."""
    slicing = Slicing()
    for text, second in (("1. a: discard vlan == 7", 0), ("1. a: discard vlan == 7", 2), ("", 4)):
        slicing.opened("port1", T + second * NS)
        if text:
            slicing.held("port1", text, T + second * NS)
    assert slicing.notes(T, T + 9 * NS, {}) == [
        "Rules for what is kept of packets of port1: 1. a: discard vlan == 7.",
        "From 2026-11-21 14:06:44.000 UTC on, packets of port1 were kept whole.",
    ]


def test_many_changes_are_counted() -> None:
    slicing = Slicing()
    for number in range(30):
        slicing.changed("port1", f"1. {number}: discard all packets", T + number)
    told = slicing.notes(T, T + NS, {})
    assert len(told) == MOST_CHANGES + 1
    assert told[-1] == f"The rules for port1 changed {30 - MOST_CHANGES} more times."


@pytest.mark.spec("R12")
def test_what_is_shorter_and_what_was_discarded() -> None:
    slicing = Slicing()
    slicing.discard("port2", 5, T + NS, T + 2 * NS)
    slicing.discard("port2", 6, T, T + NS)
    slicing.discard("port1", 1, T, T + NS)
    assert (slicing.discarded("port2"), slicing.discarded("port3")) == (11, 0)
    assert slicing.notes(T, T + NS, {"port1": 1, "port2": 70}) == [
        "1 packet of port1 is shorter in this file than on the wire.",
        "70 packets of port2 are shorter in this file than on the wire.",
        "1 packet of port1 was discarded by a rule between 2026-11-21 14:06:40.000 UTC and "
        "2026-11-21 14:06:41.000 UTC.",
        "About 11 packets of port2 were discarded by a rule between 2026-11-21 14:06:40.000 UTC and "
        "2026-11-21 14:06:42.000 UTC.",
    ]
