from pathlib import Path

import pytest

from allegro.storage.uploaded import dispose


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "upload").mkdir()
    made = tmp_path / "upload/a.pcapng"
    made.write_bytes(b"packets")
    return made


@pytest.mark.spec("X3", "W5")
class TestUploadedFile:
    def test_is_deleted(self, file: Path, tmp_path: Path) -> None:
        dispose(file, tmp_path / "sent", "delete")
        dispose(file, tmp_path / "sent", "delete")
        assert not file.exists()
        assert not (tmp_path / "sent").exists()

    @pytest.mark.parametrize("rule", ["keep", "make-room"])
    def test_is_kept_where_that_is_told_by_its_place(self, file: Path, tmp_path: Path, rule: str) -> None:
        dispose(file, tmp_path / "sent", rule)
        dispose(file, tmp_path / "sent", rule)
        assert not file.exists()
        assert (tmp_path / "sent/a.pcapng").read_bytes() == b"packets"

    def test_takes_no_place_of_another(self, file: Path, tmp_path: Path) -> None:
        (tmp_path / "sent").mkdir()
        (tmp_path / "sent/a.pcapng").write_bytes(b"another")
        dispose(file, tmp_path / "sent", "keep")
        assert (tmp_path / "sent/a.pcapng").read_bytes() == b"another"
        assert (tmp_path / "sent/a_2.pcapng").read_bytes() == b"packets"
