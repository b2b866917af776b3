"""The order of the tests: what takes long comes first."""

import pytest

from tests import conftest
from tests.harness.qemu import REPOSITORY


class Item:
    """As much of a test as the order needs."""

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


@pytest.mark.spec("I3")
def test_what_takes_long_comes_first_and_tests_of_a_file_stay_in_order() -> None:
    wanted = [
        "tests/vm/test_firmware_power_cut.py::test_b",
        "tests/vm/test_firmware_power_cut.py::test_a",
        "tests/host/test_dist.py::test_a",
        "tests/vm/test_boot.py::test_a",
        "tests/vm/test_console.py::test_a",
        "tests/host/test_sftp.py::test_a",
        "tests/unit/web/test_forms.py::test_a",
        "tests/new/test_new.py::test_a",
    ]
    items = [Item(name) for name in (*wanted[2:], *wanted[:2])]
    conftest.put_in_order(items, long_first=True)  # type: ignore[arg-type]  # only the id is looked at
    assert [item.nodeid for item in items] == wanted


@pytest.mark.spec("I3")
def test_what_is_short_comes_first_where_the_time_may_not_last() -> None:
    names = [
        "tests/vm/test_boot.py::test_b",
        "tests/vm/test_boot.py::test_a",
        "tests/unit/test_words.py::test_a",
    ]
    items = [Item(name) for name in names]
    conftest.put_in_order(items, long_first=False)  # type: ignore[arg-type]  # only the id is looked at
    assert [item.nodeid for item in items] == [names[2], *names[:2]]


@pytest.mark.spec("I3")
def test_every_file_that_is_named_exists() -> None:
    named = [name for name in conftest.BEGIN_WITH if name.endswith(".py")]
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
