import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.keeping import Absent, Damaged, Found, KeptFile, Unreadable, Value, trouble

GOOD, OLDER = b'{"a": 1}', b'{"a": 0}'
SENSELESS = [b"", b"\x00" * 512, b'{"a"', b"[1]", b"\xff\xfe\x00", b"[" * 100_000]


def parsed(content: bytes) -> dict[str, int]:
    value = json.loads(content)
    return {"a": int(value["a"])}


@pytest.fixture
def kept(tmp_path: Path) -> KeptFile[dict[str, int]]:
    return KeptFile(tmp_path / "kept.json", parsed)


@pytest.fixture
def note(tmp_path: Path) -> KeptFile[dict[str, int]]:
    return KeptFile(tmp_path / "note.json", parsed, passing=True)


def unreadable(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """A disk with a bad sector: the file is there, and reading it fails."""
    read = Path.read_bytes

    def failing(self: Path) -> bytes:
        if self in paths:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", failing)


@pytest.mark.spec("S2")
def test_what_was_written_is_there_twice(kept: KeptFile[dict[str, int]]) -> None:
    assert kept.read() == Absent()
    kept.write(GOOD)
    assert kept.read() == Value({"a": 1})
    assert kept.copy.read_bytes() == GOOD
    assert [path.stat().st_mode & 0o777 for path in (kept.path, kept.copy)] == [0o600, 0o600]
    assert trouble(kept.read()) == ""


@pytest.mark.spec("S2")
@pytest.mark.parametrize("content", SENSELESS)
def test_a_damaged_file_is_replaced_by_its_copy_and_put_aside_at_the_next_change(
    kept: KeptFile[dict[str, int]], content: bytes
) -> None:
    kept.write(GOOD)
    kept.path.write_bytes(content)
    found = kept.read()
    assert isinstance(found, Value)
    assert (found.value, type(found.instead_of)) == ({"a": 1}, Damaged)
    assert trouble(found).startswith("makes no sense (")
    assert trouble(found).endswith("so its last good copy counts")
    assert kept.path.read_bytes() == content  # reading changes nothing
    kept.write(OLDER)
    assert kept.read() == Value({"a": 0})
    assert kept.path.with_name("kept.json.damaged").read_bytes() == content


@pytest.mark.spec("S2")
def test_damaged_without_a_copy_is_told_as_such(kept: KeptFile[dict[str, int]]) -> None:
    kept.path.write_bytes(b"{")
    assert isinstance(kept.read(), Damaged)
    kept.copy.write_bytes(b"{")
    assert isinstance(kept.read(), Damaged)


@pytest.mark.spec("S2")
def test_an_unreadable_file_stays_where_it_is_and_is_not_written_over(
    kept: KeptFile[dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.write(GOOD)
    with monkeypatch.context() as patched:
        unreadable(patched, kept.path)
        assert kept.read() == Value({"a": 1}, Unreadable("Input/output error"))
        with pytest.raises(OSError, match="the present file cannot be read") as caught:
            kept.write(OLDER)
        assert caught.value.errno == errno.EIO
        unreadable(patched, kept.path, kept.copy)
        assert kept.read() == Unreadable("Input/output error")
        assert trouble(kept.read()) == "cannot be read (Input/output error)"
    assert kept.read() == Value({"a": 1})


@pytest.mark.spec("S2")
def test_a_missing_file_counts_by_its_copy_and_a_missing_folder_is_not_absent(
    kept: KeptFile[dict[str, int]], tmp_path: Path
) -> None:
    kept.write(GOOD)
    kept.path.unlink()
    assert kept.read() == Value({"a": 1}, Absent())
    assert trouble(kept.read()) == "is missing, so its last good copy counts"
    elsewhere = KeptFile(tmp_path / "not mounted" / "kept.json", parsed)
    assert elsewhere.read() == Unreadable("its folder is missing", errno.ENOENT)


@pytest.mark.spec("S2")
def test_a_link_to_what_is_missing_is_not_absent(
    kept: KeptFile[dict[str, int]], note: KeptFile[dict[str, int]]
) -> None:
    kept.path.symlink_to("not mounted")
    assert kept.read() == Unreadable("it is a link to what is missing", errno.ENOENT)
    with pytest.raises(OSError, match="the present file cannot be read"):
        kept.write(GOOD)
    kept.copy.write_bytes(GOOD)
    assert kept.read() == Value({"a": 1}, Unreadable("it is a link to what is missing", errno.ENOENT))
    kept.path.unlink()
    kept.copy.unlink()
    kept.copy.symlink_to("not mounted")
    assert isinstance(kept.read(), Unreadable), "there was a file"
    note.path.symlink_to("not mounted")
    note.write(GOOD)
    assert note.read() == Value({"a": 1})


@pytest.mark.spec("S2")
def test_a_note_that_is_gone_is_gone_and_may_be_written_over_unread(
    note: KeptFile[dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    note.write(GOOD)
    note.path.unlink()  # as a version does that knows nothing of copies
    assert note.read() == Absent()
    note.write(GOOD)
    note.remove()
    assert list(note.path.parent.iterdir()) == []
    note.remove()
    with monkeypatch.context() as patched:
        unreadable(patched, note.path)
        note.write(OLDER)
    assert note.read() == Value({"a": 0})


@pytest.mark.spec("S2")
def test_the_copy_follows_a_file_that_another_version_wrote(kept: KeptFile[dict[str, int]]) -> None:
    kept.path.write_bytes(OLDER)
    kept.mend()
    assert kept.copy.read_bytes() == OLDER
    kept.path.write_bytes(GOOD)
    kept.mend()
    assert kept.copy.read_bytes() == GOOD


@pytest.mark.spec("S2")
def test_a_file_that_is_damaged_or_missing_is_made_of_its_copy_again(
    kept: KeptFile[dict[str, int]], note: KeptFile[dict[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.write(GOOD)
    kept.path.write_bytes(b"{")
    kept.mend()
    assert kept.read() == Value({"a": 1})
    assert kept.path.with_name("kept.json.damaged").read_bytes() == b"{"
    kept.path.unlink()
    kept.mend()
    assert kept.read() == Value({"a": 1})
    with monkeypatch.context() as patched:
        unreadable(patched, kept.path)
        kept.mend()
    assert kept.read() == Value({"a": 1})
    note.write(GOOD)
    note.path.unlink()
    note.mend()
    assert note.read() == Absent(), "a note that was removed does not come back"


def nth_call_fails(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], int]:
    """The disk is full at this call of fsync(2) and at no other."""
    calls = 0
    sync = os.fsync

    def failing(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    return lambda: calls


@pytest.mark.spec("S2", "U3")
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_change_that_fails_at_any_step_leaves_the_old_one_in_both(
    kept: KeptFile[dict[str, int]], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    kept.write(OLDER)
    with monkeypatch.context() as patched:
        calls = nth_call_fails(patched, step)
        with pytest.raises(OSError, match="No space left"):
            kept.write(GOOD)
        assert calls() >= step
    found: Found[dict[str, int]] = kept.read()
    assert found == Value({"a": 0})
    kept.mend()
    assert kept.copy.read_bytes() == OLDER
