"""Runs tests of packets and filters once more, the extension built with sanitizers (address, undefined)."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import pytest

import allegro.capture

pytestmark = pytest.mark.timeout(300)  # sanitizers are slow, and so is their compiler

SOURCES = Path(allegro.capture.__file__).parent
FILTERS = Path(__file__).parents[1] / "filters"
TESTS = (
    Path(__file__).with_name("test_packets.py"),
    Path(__file__).with_name("test_records.py"),
    FILTERS / "test_program.py",
    FILTERS / "test_record_summary.py",
    FILTERS / "test_lookup.py",
)
RUN = """
import importlib.util, sys
import allegro.capture
spec = importlib.util.spec_from_file_location("allegro.capture._packets", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sys.modules[spec.name] = allegro.capture._packets = module
import pytest
sys.exit(pytest.main(["-q", "-x", "-s", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


FLAGS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fPIC"]


def compiled(folder: Path, *sources: Path) -> None:
    """The object files of C files, into `folder`."""
    include = [f"-I{sysconfig.get_paths()['include']}", f"-I{SOURCES}"]
    subprocess.run(["cc", *FLAGS, *include, "-c", *map(str, sources)], check=True, cwd=folder)


def linked(target: Path, objects: list[Path]) -> Path:
    """The extension, of all its object files."""
    subprocess.run(["cc", *FLAGS, "-shared", *map(str, objects), "-o", str(target)], check=True)
    return target


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Those of all C files as they are."""
    folder = tmp_path_factory.mktemp("objects")
    compiled(folder, *sorted(SOURCES.glob("*.c")))
    return sorted(folder.glob("*.o"))


def run(extension: Path, tests: Sequence[Path], *options: str) -> subprocess.CompletedProcess[str]:
    library = subprocess.run(
        ["cc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    root = Path(__file__).parents[3]
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0",
        # each bytes object in memory of its own, so that a read beyond its end is seen
        "PYTHONMALLOC": "malloc",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-c", RUN, str(extension), *map(str, tests), *options]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.spec("R2")
@pytest.mark.timeout(300)
def test_no_read_or_write_out_of_bounds(objects: list[Path], tmp_path: Path) -> None:
    extension = linked(tmp_path / "_packets.so", objects)
    result = run(extension, TESTS, "-k", "not finds_what_the_plain_one_says")
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    assert " passed" in result.stdout


OVER_READS = (
    ("_scan.c", "if (description->blk_len > size)", "test_packets.py", "torn_ends"),
    ("_key.c", "if (length > rest->length)", "test_program.py", "cut_off_anywhere"),
)


@pytest.mark.parametrize(("file", "check", "tests", "test"), OVER_READS)
def test_the_sanitizers_would_see_an_over_read(
    objects: list[Path], tmp_path: Path, file: str, check: str, tests: str, test: str
) -> None:
    text = (SOURCES / file).read_text()
    assert text.count(check) == 1
    (tmp_path / file).write_text(text.replace(check, "if (0)"))
    compiled(tmp_path, tmp_path / file)
    changed = (tmp_path / file).with_suffix(".o")
    others = [one for one in objects if one.name != changed.name]
    assert len(others) == len(objects) - 1
    extension = linked(tmp_path / "_packets.so", [changed, *others])
    result = run(extension, [one for one in TESTS if one.name == tests], "-k", test)
    assert result.returncode != 0
    assert "AddressSanitizer" in result.stderr
