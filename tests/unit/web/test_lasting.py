"""An answer without end is passed on no longer than its reader may see it."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest

from allegro.web import lasting
from allegro.web.lasting import Lasting

pytestmark = pytest.mark.spec("S7", "S1")


async def endless(closed: list[bool]) -> AsyncIterator[bytes]:
    try:
        yield b"1"
        yield b"2"
        await asyncio.Event().wait()  # nothing more comes
    finally:
        closed.append(True)


def passed(made: Lasting, may: list[bool], closed: list[bool]) -> list[bytes]:
    async def all_of() -> list[bytes]:
        return [each async for each in made.passed(endless(closed), lambda: may.pop(0))]

    return asyncio.run(all_of())


def test_it_ends_with_the_log_in_also_while_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lasting, "LOOK_EVERY_S", 0.001)
    closed: list[bool] = []
    assert passed(Lasting(), [True, True, True, True, True, False], closed) == [b"1", b"2"]
    assert passed(Lasting(), [True, False], closed) == [], "what comes then is not shown"
    assert closed == [True, True]


def test_it_ends_with_the_program() -> None:
    made = Lasting()
    made.end()
    assert passed(made, [True] * 9, []) == []


def test_who_goes_away_while_nothing_comes_lets_the_source_tidy_up() -> None:
    tidied: list[int] = []

    async def slow_to_end() -> AsyncIterator[bytes]:
        try:
            yield b"1"
            await asyncio.Event().wait()
        finally:
            for turn in range(3):
                await asyncio.sleep(0)
                tidied.append(turn)

    async def read_for_a_while() -> None:
        async with anyio.create_task_group() as answering:

            async def answer() -> None:
                async for _ in Lasting().passed(slow_to_end(), lambda: True):
                    first.set()

            first = asyncio.Event()
            answering.start_soon(answer)
            await first.wait()
            await asyncio.sleep(0)
            answering.cancel_scope.cancel()

    asyncio.run(read_for_a_while())
    assert tidied == [0, 1, 2]


def test_it_ends_by_itself() -> None:
    async def short() -> AsyncIterator[bytes]:
        yield b"1"

    async def all_of() -> list[bytes]:
        return [each async for each in Lasting().passed(short(), lambda: True)]

    assert asyncio.run(all_of()) == [b"1"]
