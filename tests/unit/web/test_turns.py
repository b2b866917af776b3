import asyncio

import pytest

from allegro.web.turns import MOST_OF_ONE, MOST_WAITING, Busy, Turns


async def queue(turns: Turns, order: list[str], name: str, place: str, *, known: bool = False) -> None:
    async with turns.turn(place, known=known):
        order.append(name)
        await asyncio.sleep(0)


@pytest.mark.spec("S3")
def test_known_browsers_go_first_and_each_has_its_turn_alone() -> None:
    async def run() -> list[str]:
        turns, order = Turns(), list[str]()
        async with asyncio.TaskGroup() as group, turns.turn("first", known=False):
            for name in ("a", "b", "c"):
                group.create_task(queue(turns, order, name, name))
            await asyncio.sleep(0)
            group.create_task(queue(turns, order, "owner", "a", known=True))
            await asyncio.sleep(0)
        return order

    assert asyncio.run(run()) == ["owner", "a", "b", "c"]


@pytest.mark.spec("S3")
def test_strangers_wait_in_bounded_numbers_and_known_browsers_are_never_refused() -> None:
    async def run() -> tuple[int, int]:
        turns, order = Turns(), list[str]()
        async with turns.turn("first", known=False):
            tasks = [
                asyncio.create_task(queue(turns, order, "x", f"{number // (MOST_OF_ONE + 1)}"))
                for number in range(2 * MOST_WAITING)
            ]
            owner = asyncio.create_task(queue(turns, order, "owner", "0", known=True))
            await asyncio.sleep(0)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await owner
        refused = [each for each in ended if each is not None]
        assert all(isinstance(each, Busy) for each in refused)
        return order.index("owner"), len(order)

    assert asyncio.run(run()) == (0, MOST_WAITING + 1)


def test_who_gives_up_waiting_keeps_nobody() -> None:
    async def run() -> list[str]:
        turns, order = Turns(), list[str]()
        async with turns.turn("first", known=False):
            gone = [asyncio.create_task(queue(turns, order, "gone", "a")) for _ in range(2)]
            stays = asyncio.create_task(queue(turns, order, "stays", "b"))
            await asyncio.sleep(0)
            gone[0].cancel()
        gone[1].cancel()  # whose turn it is just now
        await asyncio.gather(*gone, return_exceptions=True)
        await stays
        await queue(turns, order, "last", "c")
        return order

    assert asyncio.run(run()) == ["stays", "last"]
