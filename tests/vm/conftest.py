"""All tests here start virtual machines, which takes its time without hardware acceleration."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.desk import Desk
from tests.harness.waiting import PATIENCE

_TIMEOUT = 900  # seconds, including the one boot that makes the saved state


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_TIMEOUT * PATIENCE))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A computer for the management port of a saved machine, in whose network it has the address 10.0.2.2."""
    made = Desk(tmp_path / "desk")
    made.address("10.0.2.2/24")
    yield made
    made.close()
