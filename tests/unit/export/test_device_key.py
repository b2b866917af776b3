import stat
import threading
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.export import device_key as device_key_module
from allegro.export.device_key import device_key
from allegro.export.key_file import KeyKind


@pytest.mark.spec("X1")
def test_the_key_is_made_once_and_only_root_reads_it(tmp_path: Path) -> None:
    first = device_key(tmp_path / "ssh", "allegro-mm-1234")
    assert first.public_line.startswith("ssh-ed25519 AAAA")
    assert first.public_line.endswith(" allegro@allegro-mm-1234")
    assert stat.S_IMODE((tmp_path / "ssh").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "ssh/id_ed25519").stat().st_mode) == 0o600
    assert (tmp_path / "ssh/id_ed25519.pub").read_text() == first.public_line + "\n"
    assert device_key(tmp_path / "ssh", "allegro-mm-1234").public_line == first.public_line


@pytest.mark.spec("X1")
def test_two_who_ask_first_get_the_same_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = device_key_module._new_private_key
    lines: list[str] = []

    def ask() -> None:
        lines.append(device_key(tmp_path / "ssh", "a").public_line)

    second = threading.Thread(target=ask)

    def make_while_somebody_else_asks(kind: KeyKind) -> bytes:
        if not second.ident:
            second.start()
            second.join(0.3)  # it waits for this key, or makes another one
        return make(kind)

    monkeypatch.setattr(device_key_module, "_new_private_key", make_while_somebody_else_asks)
    ask()
    second.join(20)
    assert len(lines) == 2
    assert len(set(lines)) == 1


@pytest.mark.spec("X1")
@pytest.mark.parametrize(("kind", "name"), [("rsa", "ssh-rsa"), ("ecdsa", "ecdsa-sha2-nistp256")])
def test_another_kind_is_made_beside_the_first(tmp_path: Path, kind: KeyKind, name: str) -> None:
    first = device_key(tmp_path, "a").public_line
    other = device_key(tmp_path, "a", kind)
    assert other.public_line.startswith(f"{name} AAAA")
    assert other.private.get_bits() == {"rsa": 3072, "ecdsa": 256}[kind]
    assert stat.S_IMODE((tmp_path / f"id_{kind}").stat().st_mode) == 0o600
    assert device_key(tmp_path, "a", kind).public_line == other.public_line
    assert device_key(tmp_path, "a").public_line == first


def test_another_host_name_changes_only_the_comment(tmp_path: Path) -> None:
    first = device_key(tmp_path, "a").public_line
    second = device_key(tmp_path, "b").public_line
    assert first.split()[:2] == second.split()[:2]
    assert (tmp_path / "id_ed25519.pub").read_text().endswith("allegro@b\n")


@pytest.mark.spec("S2")
def test_a_damaged_key_gives_way_to_its_copy(tmp_path: Path) -> None:
    first = device_key(tmp_path, "a").public_line
    (tmp_path / "id_ed25519").write_text("nonsense")
    (tmp_path / "id_ed25519.pub").write_bytes(b"\xff")
    assert device_key(tmp_path, "a").public_line == first
    assert (tmp_path / ".id_ed25519.good").stat().st_mode & 0o777 == 0o600


@pytest.mark.spec("S2")
def test_a_damaged_key_without_a_copy_is_told_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "id_ed25519").write_text("nonsense")
    with pytest.raises(Unavailable, match="SSH key cannot be used") as caught:
        device_key(tmp_path, "a")
    assert caught.value.remedy == "Use a password, or choose another kind of the device's own key."
    assert (tmp_path / "id_ed25519").read_text() == "nonsense"
    assert device_key(tmp_path, "a", "ecdsa").public_line, "the remedy helps"
