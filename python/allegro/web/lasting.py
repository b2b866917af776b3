"""Answers without end: passed on as long as who asked is logged in, and this program does not end."""

import asyncio
from collections.abc import AsyncIterator, Callable

from anyio import CancelScope
from starlette.requests import ClientDisconnect
from starlette.types import Message, Send

LOOK_EVERY_S = 1.0
"""So long after a log-in has ended nothing more is passed on; what comes in between is judged at once."""


class Lasting:
    """Of one program."""

    def __init__(self) -> None:
        self._ends = False

    def end(self) -> None:
        """The program is about to stop: it would wait for these answers otherwise."""
        self._ends = True

    async def passed(self, parts: AsyncIterator[bytes], is_in: Callable[[], bool]) -> AsyncIterator[bytes]:
        """The parts as they come, until `is_in` denies that they may be seen."""
        coming = _coming(parts)
        try:
            while not self._ends and is_in():
                done, _ = await asyncio.wait({coming}, timeout=LOOK_EVERY_S)
                if not done:
                    continue
                part = coming.result()
                if part is None or not is_in():
                    return
                coming = _coming(parts)
                yield part
        finally:
            coming.cancel()
            # Where a reader goes away, anyio cancels what waits here in every turn of the loop, which
            # would keep the source from tidying up behind itself; `asyncio.wait` hands no cancellation on.
            with CancelScope(shield=True):
                await asyncio.wait({coming})

    async def streamed(self, parts: AsyncIterator[bytes], is_in: Callable[[], bool]) -> AsyncIterator[bytes]:
        """The same of a stream in which something comes every few seconds."""
        async for part in parts:
            if self._ends or not is_in():
                return
            yield part

    def judged(self, send: Send, is_in: Callable[[], bool]) -> Send:
        """`send`, which a reader who takes nothing keeps waiting no longer than he may see what comes.

        Raises ClientDisconnect then: the answer has no end that could still reach him.
        """

        async def judging(message: Message) -> None:
            sending = asyncio.ensure_future(_send(send, message))
            try:
                while not (await asyncio.wait({sending}, timeout=LOOK_EVERY_S))[0]:
                    if self._ends or not is_in():
                        raise ClientDisconnect
                await sending
            finally:
                sending.cancel()

        return judging


async def _send(send: Send, message: Message) -> None:
    await send(message)


def _coming(parts: AsyncIterator[bytes]) -> asyncio.Task[bytes | None]:
    coming = asyncio.create_task(_next(parts))
    coming.add_done_callback(_noticed)
    return coming


def _noticed(coming: asyncio.Task[bytes | None]) -> None:
    """What broke when nobody waited for it any more is no news: asyncio would write it to the log."""
    if not coming.cancelled():
        coming.exception()


async def _next(parts: AsyncIterator[bytes]) -> bytes | None:
    return await anext(parts, None)
