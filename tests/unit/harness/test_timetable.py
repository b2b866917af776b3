"""The table at the end of a test run adds up."""

import pytest

from tests import timetable
from tests.harness import starts
from tests.timetable import MachineStart, Part

VM = "tests/vm/test_boot.py::test_starts"
DEEP = "tests/unit/web/test_forms.py::test_field[a/b]"


@pytest.mark.spec("I3")
def test_a_test_is_counted_in_the_first_two_folders_of_its_path() -> None:
    assert [timetable.folder(test) for test in (VM, DEEP)] == ["tests/vm", "tests/unit"]


@pytest.mark.spec("I3")
def test_parts_of_a_test_are_added_and_it_counts_once() -> None:
    parts = [Part(VM, 40, "gw0"), Part(VM, 2.5, "gw0"), Part(DEEP, 1, "gw1"), Part(DEEP + "2", 1, "gw1")]
    lines = timetable.table(parts, [], 45)
    assert lines[:3] == [
        "     42 s      1 tests  tests/vm",
        "      2 s      2 tests  tests/unit",
        "     45 s  in all; in tests were gw0 42 s, gw1 2 s",
    ]
    assert f"   42.5 s  {VM}" in lines
    assert lines[-1] == "no virtual machine was started"


@pytest.mark.spec("I3")
def test_the_slowest_come_first_and_no_more_than_25() -> None:
    parts = [Part(f"tests/unit/test_a.py::test_{number:02}", number) for number in range(40)]
    lines = timetable.table(parts, [], 1)
    shown = [line for line in lines if "::" in line]
    assert len(shown) == 25
    assert shown[0].endswith("test_39")
    assert shown[-1].endswith("test_15")
    assert lines[1] == "      1 s  in all", "one process has no workers to tell apart"


@pytest.mark.spec("I3")
def test_machines_are_told_by_what_they_were_started_from() -> None:
    machines = [
        MachineStart("power-on", 50.0),
        MachineStart("power-on", 70.0, ("Oops: int3",)),
        MachineStart("power-on", None),
        MachineStart("saved state", 1.0, ("silent", "Oops: int3")),
    ]
    lines = timetable.table([Part(VM, 1)], machines, 1)
    assert lines[lines.index("4 virtual machines were started (seconds until ready):") + 1 :] == [
        "    120 s     3 x power-on, median 70.0 s, longest 70.0 s; 1 that nobody waited for",
        "      1 s     1 x saved state, median 1.0 s, longest 1.0 s",
        "      2    begun anew: Oops: int3",
        "      1    begun anew: silent",
    ]


@pytest.mark.spec("I3")
def test_a_start_ends_when_the_device_is_ready_for_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((110.0, 130.0))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    start = starts.Start("power-on", began=100.0)
    seen = []
    for milestone in (start.answers, start.answers, start.ready, start.ready, start.answers):
        milestone()
        seen.append(start.seconds)
    assert seen == [10.0, 10.0, 30.0, 30.0, 30.0]
