"""The fuzzers of parser, matcher, BPF interpreter and summaries: what they found, and a minute of each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.harness import fuzzing

pytestmark = [
    pytest.mark.spec("R2", "F7"),
    pytest.mark.timeout(300),
]  # sanitizers and their compiler are slow

SECONDS = 60


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return fuzzing.objects(tmp_path_factory.mktemp("objects"))


@pytest.mark.parametrize("name", fuzzing.FUZZERS)
def test_the_corpus(name: str, objects: list[Path], tmp_path: Path) -> None:
    program = fuzzing.player(name, objects, tmp_path / name)
    lines = "".join(f"{case.hex()}\n" for case in [*fuzzing.corpus(name), *fuzzing.seeds(name)])
    result = subprocess.run([program], input=lines, text=True, capture_output=True)
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.mark.long
@pytest.mark.parametrize("name", fuzzing.FUZZERS)
def test_a_minute_of_each(name: str, tmp_path: Path) -> None:
    program = fuzzing.fuzzer(name, tmp_path / name)
    cases = fuzzing.written_out(name, [*fuzzing.corpus(name), *fuzzing.seeds(name)], tmp_path)
    options = [f"-max_total_time={SECONDS}", "-max_len=4096", "-timeout=10"]
    command = [str(program), *options, f"-artifact_prefix={tmp_path}/found-", str(cases)]
    result = subprocess.run(command, text=True, errors="replace", capture_output=True)
    assert result.returncode == 0, fuzzing.found(name, tmp_path) + result.stderr[-4000:]


def test_the_programs_notice_a_fault(objects: list[Path], tmp_path: Path) -> None:
    """A key read beyond the end of its frame: the sanitizers of the build without fuzzer see it."""
    sources = tmp_path / "sources"
    sources.mkdir()
    for source in [*fuzzing.SOURCES.glob("_*.h"), fuzzing.SOURCES / "_key.c"]:
        text = source.read_text()
        if source.name == "_key.c":
            assert text.count("if (length > rest->length)") == 1
            text = text.replace("if (length > rest->length)", "if (0)")
        (sources / source.name).write_text(text)
    parts = [one for one in objects if one.name != "_key.o"] + fuzzing.objects(tmp_path, sources)
    program = fuzzing.player("key", parts, tmp_path / "key")
    lines = "".join(f"{case.hex()}\n" for case in fuzzing.seeds("key"))
    result = subprocess.run([program], input=lines, text=True, capture_output=True)
    assert result.returncode != 0
    assert "AddressSanitizer" in result.stderr
