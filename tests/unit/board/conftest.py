import sys

import pytest


@pytest.fixture(autouse=True)
def _compiled_beside_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a build, whatever is set for the Python of these tests."""
    monkeypatch.setattr(sys, "pycache_prefix", None)
