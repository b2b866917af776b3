"""What one user may hold of the way to the supervisor."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from allegro.web import shares
from allegro.web.backend import CONNECTIONS
from allegro.web.shares import MOST, MOST_OF_ONE, Shares, TooManyAtOnce


async def hold(held: Shares, stack: AsyncExitStack, name: str, count: int) -> None:
    for _ in range(count):
        await stack.enter_async_context(held.share(name))


@pytest.mark.spec("S3")
def test_who_holds_all_of_his_own_is_refused_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shares, "_WAIT_S", 0.01)

    async def run() -> int:
        held = Shares()
        async with AsyncExitStack() as stack:
            await hold(held, stack, "a", MOST_OF_ONE)
            await hold(held, stack, "b", MOST_OF_ONE)
            with pytest.raises(TooManyAtOnce, match="of yours") as refused:
                await hold(held, stack, "a", 1)
        await hold(held, AsyncExitStack(), "a", MOST_OF_ONE)
        return refused.value.status

    assert asyncio.run(run()) == 429


@pytest.mark.spec("S3")
def test_all_together_leave_connections_for_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_WAIT_S", 0.01)
    assert MOST < CONNECTIONS

    async def run() -> int:
        held = Shares()
        async with AsyncExitStack() as stack:
            for number in range(MOST):
                await hold(held, stack, f"user{number}", 1)
            with pytest.raises(TooManyAtOnce) as refused:
                await hold(held, stack, "one more", 1)
        return refused.value.status

    assert asyncio.run(run()) == 503


@pytest.mark.spec("S3")
def test_who_waits_a_little_gets_what_another_request_gives_back() -> None:
    async def run() -> list[str]:
        held, order = Shares(), list[str]()

        async def follow(name: str) -> None:
            async with held.share("a"):
                order.append(name)

        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            await hold(held, stack, "a", MOST_OF_ONE)
            gone = group.create_task(follow("gone"))
            group.create_task(follow("first"))
            group.create_task(follow("second"))
            await asyncio.sleep(0)
            gone.cancel()
            order.append("held")
            await stack.aclose()
        return order

    assert asyncio.run(run()) == ["held", "first", "second"]
