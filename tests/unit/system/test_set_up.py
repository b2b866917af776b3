from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.system.set_up import SetUp

pytestmark = pytest.mark.spec("W11")


def test_where_one_was_is_kept_from_one_start_to_the_next(tmp_path: Path) -> None:
    file = tmp_path / "set-up.json"
    assert SetUp(file).place() == "not-begun", "as on a device that an older version has set up"
    SetUp(file).go("presenter")
    assert SetUp(file).place() == "presenter"


@pytest.mark.parametrize("content", [b"", b"{}", b'{"step": "colours"}', b'{"step": ["clock"]}', b"[1]"])
def test_a_note_that_makes_no_sense_bothers_nobody(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "set-up.json"
    file.write_bytes(content)
    assert SetUp(file).place() == "not-begun"
    SetUp(file).go("clock")
    assert SetUp(file).place() == "clock"


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "set-up.json").mkdir()
    with pytest.raises(Unavailable, match="could not be kept: Is a directory"):
        SetUp(tmp_path / "set-up.json").go("links")
