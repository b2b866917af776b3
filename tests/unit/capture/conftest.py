"""What the tests of the packet ring share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from allegro.capture.ring import writer as ring_writer
from allegro.capture.ring.writer import RingWriter


@pytest.fixture(autouse=True, scope="session")
def _publish_at_once() -> None:
    """Writers wait for readers here, record by record."""
    ring_writer._PUBLISH_PAUSE = 0.0


@pytest.fixture
def abandon() -> Callable[[RingWriter], None]:
    """Ends a writer as kill -9 does: nothing is finished, no summary is written, only the lock goes."""

    def kill(writer: RingWriter) -> None:
        writer._stopped = True
        writer._written.set()
        writer._to_be_safe.set()
        writer._stock.wanted.set()
        for thread in writer._threads:
            thread.join()
        writer._release()

    return kill
