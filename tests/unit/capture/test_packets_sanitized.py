"""Runs test_packets.py once more, the C extension built with sanitizers (address, undefined behaviour)."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import allegro.capture

pytestmark = pytest.mark.timeout(300)  # sanitizers are slow, and so is their compiler

SOURCE = Path(allegro.capture.__file__).with_name("_packets.c")
TESTS = Path(__file__).with_name("test_packets.py")
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


def build(target: Path, source: Path) -> Path:
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fPIC", "-shared"]
    include = sysconfig.get_paths()["include"]
    subprocess.run(["cc", *flags, f"-I{include}", str(source), "-o", str(target)], check=True)
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
    command = [sys.executable, "-c", RUN, str(extension), str(TESTS), *options]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.spec("R2")
@pytest.mark.timeout(300)
def test_no_read_or_write_out_of_bounds(tmp_path: Path) -> None:
    result = run(build(tmp_path / "_packets.so", SOURCE))
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    assert " passed" in result.stdout


def test_the_sanitizers_would_see_an_over_read(tmp_path: Path) -> None:
    source = tmp_path / "overread.c"
    check = "if (description->blk_len > size)"
    text = SOURCE.read_text()
    assert text.count(check) == 1
    source.write_text(text.replace(check, "if (0)"))
    result = run(build(tmp_path / "_packets.so", source), "-k", "torn_ends")
    assert result.returncode != 0
    assert "AddressSanitizer" in result.stderr
