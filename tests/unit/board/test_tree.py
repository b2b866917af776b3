"""Python's compiled files in an image."""

import compileall
from pathlib import Path
from py_compile import PycInvalidationMode

import pytest

from board.allegro.image.tree import check_compiled
from board.allegro.image.workshop import BuildError

pytestmark = pytest.mark.spec("I1", "I3")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "usr/lib/python3.14").mkdir(parents=True)
    (tmp_path / "usr/lib/python3.14/enum.py").write_text("ONE = 1\n")
    return tmp_path


def test_files_that_count_as_they_are_pass(library: Path) -> None:
    compileall.compile_dir(library, quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    check_compiled(library)


@pytest.mark.parametrize("mode", [PycInvalidationMode.TIMESTAMP, PycInvalidationMode.CHECKED_HASH])
def test_files_that_python_would_compare_with_their_source_stop_the_build(
    library: Path, mode: PycInvalidationMode
) -> None:
    compileall.compile_dir(library, quiet=1, invalidation_mode=mode)
    with pytest.raises(BuildError, match=r"usr/lib/python3\.14/__pycache__/enum\..*pyc"):
        check_compiled(library)
