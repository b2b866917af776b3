import json
import os
import pwd
import stat
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.errors import Conflict, Unavailable
from allegro.storage.ring_folder import FOLDER, MARK, prepare

pytestmark = pytest.mark.spec("W5", "R2")

OWN = "5764fb6b-9bdf-48c3-a4d6-bb8107beb0c5"
USER = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "disk"
    made.mkdir(mode=0o755)
    (made / "holiday.jpg").write_bytes(b"x")
    return made


def test_a_new_folder_bears_the_device_that_has_made_it(top: Path) -> None:
    prepare(top, OWN, USER)
    assert json.loads((top / FOLDER / MARK).read_text()) == {"system_id": OWN}
    assert sorted(path.name for path in top.iterdir()) == [FOLDER, "holiday.jpg"]


def test_its_own_ring_is_taken_up_again(top: Path) -> None:
    prepare(top, OWN, USER)
    (top / FOLDER / "0000000000000001.blocks").write_bytes(b"packets")
    prepare(top, OWN, USER)
    assert (top / FOLDER / "0000000000000001.blocks").read_bytes() == b"packets"


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ('{"system_id": "another"}', r"of another device \(another\)"),
        ('{"system_id": "a\\u001b[2Jb"}', "of which nobody knows"),
        ("{", "of which nobody knows"),
        (None, "of which nobody knows"),
    ],
)
def test_a_ring_of_another_device_is_left_as_it_is(top: Path, mark: str | None, words: str) -> None:
    folder = top / FOLDER
    folder.mkdir()
    (folder / "0000000000000001.blocks").write_bytes(b"packets")
    if mark is not None:
        (folder / MARK).write_text(mark)
    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
    with pytest.raises(Conflict, match=words) as caught:
        prepare(top, OWN, USER)
    assert "format" in caught.value.remedy
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before


def test_a_mark_that_leads_elsewhere_or_waits_for_ever_counts_for_nothing(top: Path, tmp_path: Path) -> None:
    folder = top / FOLDER
    folder.mkdir()
    (tmp_path / "own").write_text(json.dumps({"system_id": OWN}))
    (folder / MARK).symlink_to(tmp_path / "own")
    with pytest.raises(Conflict, match="nobody knows"):
        prepare(top, OWN, USER)
    (folder / MARK).unlink()
    os.mkfifo(folder / MARK)
    with pytest.raises(Conflict, match="nobody knows"):
        prepare(top, OWN, USER)


@pytest.mark.parametrize("mode", [0o777, 0o700])
def test_the_group_of_the_recorder_reads_it_and_nobody_else(
    top: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    prepare(top, OWN, USER)
    (top / FOLDER).chmod(mode)
    changed: list[tuple[str, int]] = []
    own = pwd.getpwnam(USER)
    other = types.SimpleNamespace(pw_uid=own.pw_uid, pw_gid=own.pw_gid + 1)
    monkeypatch.setattr(pwd, "getpwnam", lambda _: other)
    monkeypatch.setattr(os, "chown", lambda path, _, group, **__: changed.append((path.name, group)))
    prepare(top, OWN, USER)
    assert stat.S_IMODE((top / FOLDER).stat().st_mode) == 0o750
    assert changed == [(FOLDER, other.pw_gid), (MARK, other.pw_gid)]


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/etc/passwd")])
def test_what_is_no_file_is_not_left_to_the_recorder(top: Path, make: Callable[[Path], None]) -> None:
    """It would wait for ever at a pipe: anybody can make one, and write the id of a device into the mark."""
    prepare(top, OWN, USER)
    make(top / FOLDER / "ring.json")
    with pytest.raises(Conflict, match="no file"):
        prepare(top, OWN, USER)


def test_what_the_recorder_could_not_reach_is_refused(top: Path) -> None:
    top.chmod(0o700)
    with pytest.raises(Conflict, match="closed to other users"):
        prepare(top, OWN, USER)
    top.chmod(0o755)
    (top / FOLDER).write_bytes(b"")
    with pytest.raises(Conflict, match="no folder"):
        prepare(top, OWN, USER)


def test_a_device_without_an_id_marks_nothing(top: Path) -> None:
    with pytest.raises(Unavailable, match="no id"):
        prepare(top, "", USER)
    assert not any((top / FOLDER).iterdir())


def test_a_folder_whose_mark_was_being_written_when_the_power_was_cut_is_taken(top: Path) -> None:
    folder = top / FOLDER
    folder.mkdir()
    (folder / f".{MARK}.partial").write_bytes(b'{"system')
    prepare(top, OWN, USER)
    assert [path.name for path in folder.iterdir()] == [MARK]
    assert json.loads((folder / MARK).read_text()) == {"system_id": OWN}


def test_the_rest_of_a_mark_beside_a_ring_says_nothing_of_whose_it_is(top: Path) -> None:
    folder = top / FOLDER
    folder.mkdir()
    (folder / f".{MARK}.partial").write_text(json.dumps({"system_id": OWN}))
    (folder / "0000000000000001.blocks").write_bytes(b"packets")
    with pytest.raises(Conflict, match="nobody knows"):
        prepare(top, OWN, USER)
