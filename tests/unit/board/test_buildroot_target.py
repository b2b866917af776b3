"""What is looked at in Buildroot's target folder before it is packed."""

from pathlib import Path

import pytest

from board.allegro.image.buildroot import Build, forget_build_folder
from board.allegro.image.edition import Edition
from board.allegro.image.host_tools import HostTools
from board.allegro.image.workshop import BuildError

pytestmark = pytest.mark.spec("I1")


@pytest.fixture
def made(tmp_path: Path) -> Build:
    folders = {name: tmp_path / name for name in ("host", "target", "images", "build", "prepared")}
    (folders["target"] / "usr/lib/python3.14/__pycache__").mkdir(parents=True)
    shop = HostTools(tmp_path / "shop", folders["prepared"], tmp_path, 0)
    return Build(**folders, edition=Edition("1.0.0", "quiet", shipped=True), compatible="allegro", shop=shop)


def test_python_does_not_tell_where_it_was_built(made: Build) -> None:
    account = made.target / "usr/lib/python3.14/_sysconfigdata__linux_x86_64-linux-gnu.py"
    account.write_text(f"build_time_vars = {{'AR': '{made.host}/bin/ar', 'prefix': '/usr'}}\n")
    forget_build_folder(made)
    assert account.read_text() == "build_time_vars = {'AR': 'buildroot/host/bin/ar', 'prefix': '/usr'}\n"
    (compiled,) = account.parent.glob("__pycache__/*.pyc")
    assert b"buildroot/host/bin/ar" in compiled.read_bytes()


def test_a_file_that_names_the_folder_of_the_build_stops_it(made: Build) -> None:
    (made.target / "usr/bin").mkdir()
    (made.target / "usr/bin/tool").write_bytes(b"\x7fELF\0" + bytes(made.host) + b"/lib\0")
    (made.target / "usr/bin/dangling").symlink_to("nowhere")
    with pytest.raises(BuildError, match="usr/bin/tool\n") as caught:
        forget_build_folder(made)
    assert "dangling" not in str(caught.value)
