"""What the tests of the command line share."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.playing_api import Api


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Api(tmp_path / "api.sock") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
