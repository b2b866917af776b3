"""The page's word to the watchdog: only if it answers."""

import asyncio
import socket

import pytest

from allegro.web.__main__ import _answers


async def asked(answer: bytes | None, within_s: float = 5.0) -> bool:
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

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        works = await _answers(server.sockets[0].getsockname()[1], within_s)
        await ended.wait()
        return works


@pytest.mark.spec("I5")
def test_a_page_that_answers_works() -> None:
    assert asyncio.run(asked(b"HTTP/1.1 308 Permanent Redirect\r\n\r\n"))


@pytest.mark.spec("I5")
def test_a_page_that_does_not_answer_hangs() -> None:
    assert not asyncio.run(asked(None, within_s=0.2))
    assert not asyncio.run(asked(b""))


@pytest.mark.spec("I5")
def test_a_page_that_does_not_listen_hangs() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert not asyncio.run(_answers(closed.getsockname()[1], 5.0))
