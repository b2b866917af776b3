"""The page's word to the watchdog: only if it answers on the device's own way to it."""

import asyncio
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.web.__main__ import _answers, listen_inside, told


async def asked(path: Path, answer: bytes | None, within_s: float = 5.0) -> bool:
    """Asks a server that answers so, or not at all."""
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()  # until the other side has had enough
        else:
            writer.write(answer)
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with await asyncio.start_unix_server(serve, sock=listen_inside(path)):
        works = await _answers(path, within_s)
        await ended.wait()
        return works


@pytest.mark.spec("I5")
def test_a_page_that_answers_works(tmp_path: Path) -> None:
    assert asyncio.run(asked(tmp_path / "page.sock", b"HTTP/1.1 200 OK\r\n\r\n"))


@pytest.mark.spec("I5")
def test_a_page_that_does_not_answer_hangs(tmp_path: Path) -> None:
    assert not asyncio.run(asked(tmp_path / "page.sock", None, within_s=0.2))
    assert not asyncio.run(asked(tmp_path / "page.sock", b""))


@pytest.mark.spec("I5")
def test_a_page_that_does_not_listen_hangs(tmp_path: Path) -> None:
    assert not asyncio.run(_answers(tmp_path / "nowhere", 5.0))


def test_the_own_way_is_roots_and_replaces_one_that_was_left_over(tmp_path: Path) -> None:
    path = tmp_path / "run/web/page.sock"
    listen_inside(path).close()
    with listen_inside(path):
        assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="socket cannot be made"):
        listen_inside(tmp_path / "file/page.sock")


def test_only_a_read_that_was_cancelled_as_it_came_is_no_line_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.new_event_loop()
    try:
        late = "Exception in callback Future.set_result(None)"
        told(loop, {"message": late, "exception": asyncio.InvalidStateError("invalid state")})
        assert caplog.text == ""
        told(loop, {"message": "Exception in callback other()", "exception": asyncio.InvalidStateError()})
        told(loop, {"message": late, "exception": ValueError("wrong")})
        assert "other()" in caplog.text
        assert "wrong" in caplog.text
    finally:
        loop.close()
