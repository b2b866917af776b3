"""Runs tests of packets and filters once more, the extension built with sanitizers (address, undefined)."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
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


def build(target: Path, sources: Path) -> Path:
    """Of all C files in a folder."""
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fPIC", "-shared"]
    include = sysconfig.get_paths()["include"]
    subprocess.run(
        ["cc", *flags, f"-I{include}", *map(str, sorted(sources.glob("*.c"))), "-o", str(target)], check=True
    )
    return target


def run(extension: Path, *options: str) -> subprocess.CompletedProcess[str]:
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
    command = [sys.executable, "-c", RUN, str(extension), *map(str, TESTS), *options]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.spec("R2")
@pytest.mark.timeout(300)
def test_no_read_or_write_out_of_bounds(tmp_path: Path) -> None:
    result = run(build(tmp_path / "_packets.so", SOURCES), "-k", "not finds_what_the_plain_one_says")
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    assert " passed" in result.stdout


OVER_READS = (
    ("_packets.c", "if (description->blk_len > size)", "torn_ends"),
    ("_key.c", "if (length > rest->length)", "cut_off_anywhere"),
)


@pytest.mark.parametrize(("file", "check", "test"), OVER_READS)
def test_the_sanitizers_would_see_an_over_read(tmp_path: Path, file: str, check: str, test: str) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    for source in SOURCES.glob("*.[ch]"):
        text = source.read_text()
        if source.name == file:
            assert text.count(check) == 1
            text = text.replace(check, "if (0)")
        (sources / source.name).write_text(text)
    result = run(build(tmp_path / "_packets.so", sources), "-k", test)
    assert result.returncode != 0
    assert "AddressSanitizer" in result.stderr
