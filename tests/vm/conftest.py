"""All tests here start virtual machines, which takes its time without hardware acceleration."""

from pathlib import Path

import pytest

from tests.harness.waiting import PATIENCE

_TIMEOUT = 900  # seconds, including the one boot that makes the saved state


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(_TIMEOUT * PATIENCE))
