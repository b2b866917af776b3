from pathlib import Path

from board.allegro.image.workshop import mounts_below, remove, without_this_python

MOUNTINFO = """\
22 1 8:1 / / rw shared:1 - ext4 /dev/root rw
40 22 0:5 / /srv/build/partial/dev rw - devtmpfs dev rw
41 40 0:6 / /srv/build/partial/dev/pts rw - devpts pts rw
42 22 0:7 / /srv/build/partial-2/dev rw - devtmpfs dev rw
43 22 0:8 / /srv/build/partial/with\\040blank rw - tmpfs none rw
"""


def test_what_an_interrupted_build_left_mounted_is_found_innermost_first() -> None:
    assert mounts_below(Path("/srv/build/partial"), MOUNTINFO) == [
        "/srv/build/partial/with blank",
        "/srv/build/partial/dev/pts",
        "/srv/build/partial/dev",
    ]
    assert mounts_below(Path("/srv/other"), MOUNTINFO) == []


def test_files_folders_and_nothing_are_removed(tmp_path: Path) -> None:
    (tmp_path / "folder" / "in").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file", "nothing"):
        remove(tmp_path / name)
        assert not (tmp_path / name).exists()


def test_what_is_set_for_this_python_is_not_for_those_of_a_build() -> None:
    here = {
        "PATH": "/usr/bin",
        "PYTHONPYCACHEPREFIX": "/srv/build/pycache",
        "https_proxy": "http://192.0.2.1",
    }
    assert without_this_python(here) == {"PATH": "/usr/bin", "https_proxy": "http://192.0.2.1"}
