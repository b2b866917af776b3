"""How fast captures get to an SFTP server, beside OpenSSH's own sftp, in turns and to the same server.

The device has each file written to the server's disk before it takes its own away, which sftp does only if
asked to (`put -f`): both are measured.
"""

import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from allegro.export.device_key import device_key
from allegro.export.failures import Target
from allegro.export.host_keys import HostKey
from allegro.export.pace import Pace
from allegro.export.session import Login
from allegro.export.sftp_way import SftpWay
from allegro.export.way import Memory
from benchmarks.measuring import BenchmarkError
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import wait_for

DELAY_MS = 50
"""There and back."""
SIZE = {False: 256 << 20, True: 64 << 20}
"""Bytes, near and far away."""
ROUNDS = 5


@dataclass(frozen=True)
class Line:
    """Medians of seconds for one file, with log-in; ratios: our speed by that of sftp, of each round.

    `flushed`: of sftp with fsync.
    """

    way: str
    size: int
    ours_s: float
    sftp_s: float
    ratio: float
    flushed_s: float
    flushed_ratio: float


def compare(folder: Path, *, quick: bool) -> list[Line]:
    """Sends a file in turns. Raises BenchmarkError, BenchError."""
    folder.mkdir(parents=True, exist_ok=True)
    key = device_key(folder / "ssh", "bench", "ed25519")
    server = SftpServer(folder / "server")
    server.authorize(key.public_line)
    with server:
        lines = []
        for is_far in (False, True):
            with _far_away(server.port) if is_far else _as_it_is(server.port) as port:
                login = Login(server.user, key=key.private)
                lines.append(_in_turns(folder, server, port, login, is_far, 1 if quick else ROUNDS))
        return lines


def text(lines: list[Line]) -> str:
    """As a table."""
    rows = (
        f"| {line.way} | {line.size >> 20} | {line.ours_s:.2f} | {line.sftp_s:.2f} | {line.ratio:.2f} "
        f"| {line.flushed_s:.2f} | {line.flushed_ratio:.2f} |\n"
        for line in lines
    )
    head = "| way | MiB | our s | sftp s | times as fast | sftp with fsync s | times as fast |\n"
    return head + "|---|--:|--:|--:|--:|--:|--:|\n" + "".join(rows)


def _in_turns(folder: Path, server: SftpServer, port: int, login: Login, is_far: bool, rounds: int) -> Line:
    size = SIZE[is_far]
    file = folder / "file.pcapng"
    file.write_bytes(os.urandom(size))
    key = folder / "ssh" / "id_ed25519"
    ours, plain, flushed = [], [], []
    for _ in range(rounds):
        ours.append(_timed(lambda: _send(server, port, login, file)))
        plain.append(_timed(lambda: _put(server, port, key, file)))
        flushed.append(_timed(lambda: _put(server, port, key, file, flush=True)))
    name = f"{DELAY_MS} ms there and back" if is_far else "the same machine"
    middle = statistics.median
    return Line(
        *(name, size, middle(ours), middle(plain), _times_as_fast(ours, plain)),
        *(middle(flushed), _times_as_fast(ours, flushed)),
    )


def _times_as_fast(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(their / our for our, their in zip(ours, theirs, strict=True))


def _timed(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _send(server: SftpServer, port: int, login: Login, file: Path) -> None:
    target = Target(server.address, port, server.user)
    with SftpWay(target, login, HostKey(server.fingerprint), "bench").lanes(1) as (lane,):
        sent = lane.send(file, ".", lambda step, done, size: None, Memory(), Pace(), lambda path: None)
    if sent is None or sent.already_there:
        raise BenchmarkError("The file was not sent.")
    (server.root / sent.name).unlink()


def _put(server: SftpServer, port: int, key: Path, file: Path, *, flush: bool = False) -> None:
    options = (
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        f"IdentityFile={key}",
        "LogLevel=ERROR",
    )
    command = ["sftp", "-q", "-b", "-", "-P", str(port), "-F", "/dev/null"]
    command += [part for option in options for part in ("-o", option)]
    order = f"put {'-f ' if flush else ''}{file}"
    done = subprocess.run(
        [*command, f"{server.user}@{server.address}"], input=f"{order}\n", text=True, capture_output=True
    )
    there = server.root / file.name
    if done.returncode or there.stat().st_size != file.stat().st_size:
        raise BenchmarkError(f"sftp: {done.stderr}")
    there.unlink()


@contextmanager
def _as_it_is(port: int) -> Iterator[int]:
    yield port


@contextmanager
def _far_away(port: int) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        near = int(free.getsockname()[1])
    command = [sys.executable, "-m", "benchmarks.far_away", str(near), str(port), str(DELAY_MS / 2)]
    relay = subprocess.Popen(command)
    try:
        wait_for(lambda: _answers(near), "the relay to listen", 20)
        yield near
    finally:
        relay.terminate()
        relay.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
