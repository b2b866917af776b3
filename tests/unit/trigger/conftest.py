from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.trigger.jobs import JobStore


@pytest.fixture(autouse=True)
def _close_databases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several stores stand for several lives of the device; none of them is closed by its death."""
    opened: list[JobStore] = []
    original = JobStore.__init__

    def remembered(store: JobStore, path: Path) -> None:
        original(store, path)
        opened.append(store)

    monkeypatch.setattr(JobStore, "__init__", remembered)
    yield
    for store in opened:
        store.close()
