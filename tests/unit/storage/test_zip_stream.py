import io
import os
import tracemalloc
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from allegro.storage.zip_stream import CHUNK, MISSING, archive_names, zip_stream


def archive(parts: Iterable[bytes]) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(b"".join(parts)))


def files(folder: Path, **contents: bytes) -> list[Path]:
    paths = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(content)
        os.utime(path, (1_795_271_404, 1_795_271_404))
        paths.append(path)
    return paths


def open_files() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


@pytest.mark.spec("W5")
class TestArchive:
    def test_all_files_are_in_it_as_they_are(self, tmp_path: Path) -> None:
        contents = {"a.pcapng": b"", "b.pcapng": os.urandom(2 * CHUNK + 7), "ä.pcapng": b"x"}
        made = archive(zip_stream(files(tmp_path, **contents)))
        assert made.testzip() is None
        assert {name: made.read(name) for name in made.namelist()} == contents
        for info in made.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (2026, 11, 21, 14, 30, 4)
            assert info.external_attr >> 16 == 0o644

    def test_sizes_beyond_the_old_format(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 1000)  # what needs 64 bits, without so much data
        contents = {f"{number}.pcapng": os.urandom(900 + 50 * number) for number in range(5)}
        parts = list(zip_stream(files(tmp_path, **contents)))
        monkeypatch.undo()
        made = archive(parts)
        assert made.testzip() is None
        assert {name: made.read(name) for name in made.namelist()} == contents
        assert any(info.extract_version == 45 for info in made.infolist())

    def test_memory_does_not_grow_with_the_files(self, tmp_path: Path) -> None:
        with (tmp_path / "a.pcapng").open("wb") as large:
            large.truncate(64 * CHUNK)
        tracemalloc.start()
        total = sum(len(piece) for piece in zip_stream([tmp_path / "a.pcapng"]))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert total > 64 * CHUNK
        assert peak < 8 * CHUNK

    def test_what_is_gone_is_told_in_the_archive(self, tmp_path: Path) -> None:
        first, gone, last = files(tmp_path, a=b"1", b=b"2", c=b"3")
        parts = zip_stream([first, gone, last])
        began = next(parts)
        gone.unlink()
        made = archive([began, *parts])
        assert made.namelist() == ["a", "c", MISSING]
        assert made.read(MISSING) == b"b: No such file or directory\r\n"

    def test_a_file_is_closed_when_nobody_reads_on(self, tmp_path: Path) -> None:
        parts = zip_stream(files(tmp_path, a=b"1"))
        next(parts)
        opened = open_files()
        parts.close()  # type: ignore[attr-defined]
        assert len(opened - open_files()) == 1

    def test_times_that_the_format_does_not_have(self, tmp_path: Path) -> None:
        paths = files(tmp_path, early=b"", late=b"")
        os.utime(paths[0], (0, 0))
        os.utime(paths[1], (8_000_000_000, 8_000_000_000))
        years = [info.date_time[0] for info in archive(zip_stream(paths)).infolist()]
        assert years == [1980, 2107]


@pytest.mark.spec("W5")
@pytest.mark.parametrize(
    ("names", "given"),
    [
        (["a.pcapng", "ü b.pcapng"], ["a.pcapng", "ü b.pcapng"]),
        (["a.pcapng", "A.pcapng"], ["a.pcapng", "A_2.pcapng"]),
        (['<a>:"b"|c?*'], ["_a___b__c__"]),
        (["a:b", "a?b"], ["a_b", "a_b_2"]),
        (["con.pcapng", "COM1", "console"], ["_con.pcapng", "_COM1", "console"]),
        (["a.", "...x"], ["a", "...x"]),
        (["Not in this archive.TXT"], ["Not in this archive_2.TXT"]),
    ],
)
def test_names_can_be_unpacked_everywhere(names: Sequence[str], given: Sequence[str]) -> None:
    assert archive_names(names) == given
