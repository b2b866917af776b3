import grp
import socket
from pathlib import Path

import pytest

from allegro.errors import Conflict, Unavailable
from allegro.supervisor.listener import bind


def test_a_stale_socket_is_replaced_and_only_owner_and_group_may_connect(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with bind(path) as listener:
        assert path.stat().st_mode & 0o777 == 0o660
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            listener.accept()[0].close()


def test_a_living_supervisor_is_not_pushed_aside(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with bind(path), pytest.raises(Conflict, match="Another supervisor"):
        bind(path)
    assert path.exists()


def test_a_directory_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file or directory"):
        bind(tmp_path / "nowhere" / "api.sock")


def test_the_socket_is_for_root_and_the_web_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    names: list[str] = []

    def group(name: str) -> grp.struct_group:
        names.append(name)
        return grp.struct_group((name, "x", 811, []))

    monkeypatch.setattr("grp.getgrnam", group)
    monkeypatch.setattr("os.chown", lambda _path, user, group: given.append((user, group)))
    bind(tmp_path / "api.sock").close()
    assert (names, given) == (["allegro-web"], [(-1, 811)])
