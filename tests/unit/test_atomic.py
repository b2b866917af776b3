import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from allegro.atomic import rename_without_replacing, write_atomically


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def test_atomic_write_replaces_the_file_and_never_rewrites_it(path: Path) -> None:
    write_atomically(path, b"old")
    with path.open("rb") as reader:
        write_atomically(path, b"new, and longer")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new, and longer"


def test_atomic_write_syncs_file_before_rename_and_directory_after(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomically(path, b"x")
    assert steps == ["sync .settings.json.partial", "rename", f"sync {path.parent.name}"]


def test_without_sync_nothing_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise AssertionError

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"x", sync=False)
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_mode_does_not_depend_on_umask_or_on_what_was_there(path: Path, mode: int) -> None:
    path.write_bytes(b"old")
    path.chmod(0o666)
    path.with_name(".settings.json.partial").touch(0o666)
    umask = os.umask(0o077)
    try:
        write_atomically(path, b"x", mode=mode)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_the_recorder_stays_light() -> None:
    code = "import sys, allegro.capture.recorder.loop; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.spec("T5")
def test_a_rename_never_replaces(tmp_path: Path) -> None:
    source, target = tmp_path / "new", tmp_path / "name"
    source.write_text("new")
    target.write_text("old")
    with pytest.raises(FileExistsError):
        rename_without_replacing(source, target)
    assert (source.read_text(), target.read_text()) == ("new", "old")
    target.unlink()
    rename_without_replacing(source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["name"]
