"""Programs of a tools folder, without a chroot."""

from pathlib import Path

import pytest

from board.allegro.image.host_tools import HostTools
from board.allegro.image.workshop import BuildError


@pytest.fixture
def shop(tmp_path: Path) -> HostTools:
    shop = HostTools(tmp_path / "shop", tmp_path / "downloads", tmp_path, 1_790_000_000)
    shop.work.mkdir(parents=True)
    shop.logs.mkdir()
    return shop


def tool(folder: Path, name: str, script: str) -> None:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / name).chmod(0o755)


def test_tools_come_first_with_a_fixed_environment(shop: HostTools, tmp_path: Path) -> None:
    tool(tmp_path / "host", "date", 'echo "$SOURCE_DATE_EPOCH $TZ $1"')
    shop.run_inside(tmp_path / "host", ["date", shop.inside(tmp_path / "x")], log="date")
    assert (shop.logs / "date.log").read_text() == f"1790000000 UTC {tmp_path / 'x'}\n"


def test_copies_of_files_vanish_also_after_a_failure(shop: HostTools, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    copy = Path(shop.copy_inside("signing.key"))
    files = {"signing.key": tmp_path / "key"}
    shop.run_inside(tmp_path, ["cat", str(copy)], log="cat", files=files)
    assert (shop.logs / "cat.log").read_text() == "secret\n"
    assert not copy.parent.exists()
    with pytest.raises(BuildError, match="false failed"):
        shop.run_inside(tmp_path, ["false"], log="false", files=files)
    assert not copy.parent.exists()
