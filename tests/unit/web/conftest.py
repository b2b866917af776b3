from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.accounts import passwords
from tests.unit.web.world import World


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least that argon2 takes: what is tested here is not its strength."""
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 8)
    monkeypatch.setattr(passwords, "_ITERATIONS", 1)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.device.jobs.close()
