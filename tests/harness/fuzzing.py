"""Builds the fuzzers of the C files (tests/fuzz), and reads corpora: a case a line, in hexadecimal digits."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import allegro.capture
from allegro.filters import libpcap
from allegro.filters.program import compiled, for_interface
from tests.harness import random_packets
from tests.unit.capture.blocks import Frame, block

FOLDER = Path(__file__).parents[1] / "fuzz"
CORPUS = FOLDER / "corpus"
SOURCES = Path(allegro.capture.__file__).parent
_SANITIZED = ["-O1", "-g", "-fno-sanitize-recover=all"]
_OF_PYTHON = {"_packets.c", "_scan.c", "_merge.c", "_match.c", "_records.c"}
"""They speak to Python; the tests of packets run them with sanitizers."""


def fuzzer(name: str, target: Path) -> Path:
    """The program of a fuzzer, with libFuzzer by clang."""
    options = [*_SANITIZED, "-fsanitize=fuzzer,address,undefined", f"-I{SOURCES}", "-o", str(target)]
    subprocess.run(["clang", *options, str(FOLDER / f"{name}.c"), *map(str, _tested(SOURCES))], check=True)
    return target


def objects(folder: Path, sources: Path = SOURCES) -> list[Path]:
    """What `player` is made of, by the usual compiler: the C files of `sources`, into `folder`."""
    command = ["cc", *_SANITIZED, "-fsanitize=address,undefined", "-c", *map(str, _tested(sources))]
    subprocess.run(command, check=True, cwd=folder)
    return sorted(folder.glob("*.o"))


def player(name: str, parts: Sequence[Path], target: Path) -> Path:
    """A program that runs the harness of a fuzzer on the cases that it reads."""
    own = [FOLDER / f"{name}.c", FOLDER / "replay.c", *parts]
    options = [*_SANITIZED, "-fsanitize=address,undefined", f"-I{SOURCES}", "-o", str(target)]
    subprocess.run(["cc", *options, *map(str, own)], check=True)
    return target


def _tested(sources: Path) -> list[Path]:
    return sorted(one for one in sources.glob("_*.c") if one.name not in _OF_PYTHON)


def corpus(name: str) -> list[bytes]:
    """The cases that are kept: what fuzzers have found to go ways of its own, or to go wrong once."""
    return [bytes.fromhex(line) for line in (CORPUS / f"{name}.txt").read_text().split()]


def written_out(name: str, cases: Sequence[bytes], folder: Path) -> Path:
    """A folder in `folder` with a file for each case, as libFuzzer reads them."""
    target = folder / f"{name}-cases"
    target.mkdir()
    for number, case in enumerate(cases):
        (target / str(number)).write_bytes(case)
    return target


def found(name: str, folder: Path) -> str:
    """What a fuzzer has found, in words: each belongs into the corpus when it is mended."""
    lines = "\n".join(path.read_bytes().hex() for path in sorted(folder.glob("found-*")))
    return f"for {CORPUS / name}.txt:\n{lines}\n"


def seeds(name: str) -> Iterator[bytes]:
    """Usual inputs, from which a fuzzer may begin."""
    chance = random.Random(1)
    for _ in range(200):
        yield _SEEDS[name](chance)


def _frame(chance: random.Random) -> bytes:
    tag = struct.pack(">HH", chance.choice((0x8100, 0x88A8, 0)), 7)
    return bytes((chance.getrandbits(1), chance.choice((0, 40)))) + tag + random_packets.frame(chance)


def _bpf(chance: random.Random) -> bytes:
    code = libpcap.compiled(chance.choice(random_packets.EXPRESSIONS))
    return bytes((len(code) // 8,)) + code + _frame(chance)


def _match(chance: random.Random) -> bytes:
    program = for_interface(compiled(random_packets.tree(chance, 2), (), libpcap.compiled), "port1")
    return (
        bytes((chance.choice((200, 255)),))
        + struct.pack(">H", len(program))
        + program
        + b"\0"
        + _frame(chance)
    )


def _block(chance: random.Random) -> bytes:
    frames = [Frame(number, random_packets.frame(chance)) for number in range(chance.randrange(1, 4))]
    whole = block(frames, size=4096)
    (used,) = struct.unpack_from("<I", whole, 20)
    return struct.pack(">H", chance.choice((60, 300))) + bytes(whole[:used])


_SEEDS: dict[str, Callable[[random.Random], bytes]] = {
    "key": _frame,
    "bpf": _bpf,
    "match": _match,
    "block": _block,
}
FUZZERS = tuple(_SEEDS)
