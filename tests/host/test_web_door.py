"""The door of the page with the real programs: who gets in, in which spelling, and beside whom."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.web_programs import PASSWORDS, Programs, basic, web_programs

FILE = "20261121T143005Z_presenter_next.pcapng"
CONTENT = b"PACKETS-OF-OTHERS\n"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    folder: Path = tmp_path_factory.mktemp("door")
    with web_programs(folder) as made:
        (made.paths.storage / FILE).write_bytes(CONTENT)
        yield made


@pytest.mark.spec("S1")
@pytest.mark.parametrize(
    "path",
    ["", "x/../", "./", "x/%2e%2e/", "/", "ring/..//", "%2e/"],
)
def test_a_viewer_opens_no_capture_in_any_spelling(programs: Programs, path: str) -> None:
    viewer = basic("viewer", PASSWORDS["viewer"])
    for folder in ("files", "%66iles"):
        status, _, content = programs.request("GET", f"/api/{path}{folder}/{FILE}", viewer)
        assert status == (400 if path else 403), content
        assert CONTENT not in content
    status, _, content = programs.request("GET", f"/api/files/{FILE}", basic("capture", PASSWORDS["capture"]))
    assert (status, content) == (200, CONTENT)
