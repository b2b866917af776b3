import uuid
from pathlib import Path

import pytest

from allegro.system.identity import host_name, system_id


def test_the_system_id_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "state" / "system-id"
    made = system_id(path)
    assert str(uuid.UUID(made)) == made
    assert system_id(path) == made
    assert path.read_text() == made + "\n"


def test_two_installations_differ(tmp_path: Path) -> None:
    assert system_id(tmp_path / "a") != system_id(tmp_path / "b")


@pytest.mark.spec("S2")
def test_a_damaged_id_gives_way_to_its_copy_and_one_that_cannot_be_read_stays(tmp_path: Path) -> None:
    path = tmp_path / "system-id"
    made = system_id(path)
    path.write_bytes(b"\x00")
    assert system_id(path) == made
    path.unlink()
    assert system_id(path) == made
    path.mkdir()
    assert system_id(path) == made
    (tmp_path / ".system-id.good").unlink()
    with pytest.raises(IsADirectoryError):
        system_id(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 36, b"no id\n", b"\xff\xff"])
def test_a_damaged_id_is_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "system-id"
    path.write_bytes(content)
    made = system_id(path)
    assert path.read_text() == made + "\n"


@pytest.mark.spec("N1")
@pytest.mark.parametrize(
    ("mac", "expected"),
    [
        ("52:54:00:12:34:56", "allegro-mm-3456"),
        ("AA:BB:CC:DD:EE:FF", "allegro-mm-eeff"),
        ("", "allegro-mm"),
        ("52:54:00", "allegro-mm"),
    ],
)
def test_host_name(mac: str, expected: str) -> None:
    assert host_name(mac) == expected
