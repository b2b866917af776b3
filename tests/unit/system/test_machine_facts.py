import pytest

from allegro.system.machine_facts import COMMANDS, machine_facts

pytestmark = pytest.mark.spec("W9")


def test_what_runs_is_told_and_what_does_not_says_so() -> None:
    commands = {"a.txt": ("echo", "seen"), "b.txt": ("no-such-program-here",), "c.txt": ("cat", "/none")}
    found = dict(machine_facts(commands))
    assert found["a.txt"] == b"seen\n"
    assert b"no-such-program-here failed" in found["b.txt"]
    assert b"/none" in found["c.txt"]


def test_each_file_has_a_name_of_its_own_in_the_bundle() -> None:
    assert all(name.endswith(".txt") and "/" not in name for name in COMMANDS)
