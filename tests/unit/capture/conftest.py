"""What the tests of the packet ring share."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from allegro.capture.ring_writer import RingWriter


@pytest.fixture
def abandon() -> Callable[[RingWriter], None]:
    """Ends a writer as kill -9 does: nothing is finished, no summary is written, only the lock goes."""

    def kill(writer: RingWriter) -> None:
        writer._stopped = True
        writer._thread.join()
        for segment in (*writer._closing, *([writer._current] if writer._current else [])):
            os.close(segment.descriptor)
            os.close(segment.index)
        os.close(writer._lock_file)

    return kill
