"""The threat model names tests that there are, and states something of every provision."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.spec("S9")

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs/threat-model.md").read_text()

OF_CLAUSE = {"5.0": 1, "5.1": 5, "5.2": 3, "5.3": 16, "5.4": 4, "5.5": 8, "5.6": 9, "5.7": 2, "5.8": 3}
OF_CLAUSE |= {"5.9": 3, "5.10": 1, "5.11": 4, "5.12": 3, "5.13": 1, "6": 5}
"""How many provisions each clause of ETSI EN 303 645 V2.1.1 has."""


def test_the_tests_that_it_names_are_there() -> None:
    named = set(re.findall(r"`((?:unit|host|vm)/[\w/.]*)`", TEXT))
    assert len(named) > 20
    assert [each for each in sorted(named) if not (REPOSITORY / "tests" / each).exists()] == []


def test_every_provision_has_a_state() -> None:
    rows = re.findall(r"^\| ([\d.]+)-(\d+) \| .+ \| ([MR]) \| (\S+) \|.*\|$", TEXT, re.MULTILINE)
    wanted = [(clause, number) for clause, count in OF_CLAUSE.items() for number in range(1, count + 1)]
    assert [(clause, int(number)) for clause, number, _, _ in rows] == wanted
    assert {state for _, _, _, state in rows} <= {"met", "partly", "no", "vendor", "n/a"}


def test_what_only_a_vendor_knows_is_left_to_him_and_seen() -> None:
    told = (REPOSITORY / "SECURITY.md").read_text()
    assert told.count("the vendor fills in") == 3
