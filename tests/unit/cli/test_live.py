"""`allegro live` beside a supervisor that goes away, and beside a reader that does."""

import io
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from allegro.cli.main import main

pytestmark = pytest.mark.spec("R8")

BEGUN = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


@contextmanager
def breaking_off(path: Path, reads: int) -> Iterator[None]:
    """A supervisor that closes the connection after the first part. Where it has read less than the request,
    the kernel resets the connection (unix(7))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(reads)
                connection.sendall(BEGUN)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize("reads", [4096, 1])
def test_a_stream_that_breaks_off_is_told_and_what_came_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], reads: int
) -> None:
    output = tmp_path / "live.pcapng"
    with breaking_off(tmp_path / "api.sock", reads):
        code = main(["live", "--output", str(output), "--socket", str(tmp_path / "api.sock")])
    assert code == 1
    assert capsys.readouterr().err.startswith("allegro: The live capture broke off.")
    assert output.read_bytes() == b"abc"


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "missing" / "live.pcapng"
    with breaking_off(tmp_path / "api.sock", 4096):
        code = main(["live", "--output", str(output), "--socket", str(tmp_path / "api.sock")])
    assert code == 1
    assert f"{output} cannot be written (No such file or directory)." in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_failure_of_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = os.pipe()
    os.close(there)
    told = io.StringIO()
    with io.FileIO(here, "w") as pipe, breaking_off(tmp_path / "api.sock", 4096):
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe))
        monkeypatch.setattr(sys, "stderr", told)
        code = main(["live", "--socket", str(tmp_path / "api.sock")])
    assert code == 1
    assert told.closed, "nothing is said"
