"""The supervisor's word to the watchdog: it comes from where requests are answered."""

import asyncio
import threading
from collections.abc import Callable

import pytest
import uvicorn
from fastapi import FastAPI

from allegro.supervisor import api_server as module
from allegro.supervisor.api_server import _Server

EVERY_S = 0.01


class Bench:
    """Counts words; `reason` is what `hung` answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.words = 0
        self.reason = ""
        self.lock = threading.Lock()
        monkeypatch.setattr(module, "alive", self.word)
        self.server = _Server(uvicorn.Config(FastAPI()), lambda: None, self.hung)

    def word(self) -> None:
        self.words += 1

    def hung(self) -> str:
        if self.reason == "odd":
            raise ValueError("odd")
        with self.lock:
            return self.reason

    def run(self, check: Callable[[], object]) -> None:
        """Lets it tell while `check` runs in another thread."""

        async def both() -> None:
            telling = asyncio.create_task(self.server._tell_alive(EVERY_S))
            await asyncio.to_thread(check)
            telling.cancel()

        asyncio.run(both())

    def words_within(self, seconds: float) -> int:
        before = self.words
        threading.Event().wait(seconds)
        return self.words - before

    def wait_words(self) -> None:
        before = self.words
        for _ in range(2000):
            if self.words > before + 1:
                return
            threading.Event().wait(0.01)
        raise AssertionError("not a word")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


@pytest.mark.spec("I5")
def test_says_again_and_again_that_it_works(bench: Bench) -> None:
    bench.run(bench.wait_words)


@pytest.mark.spec("I5")
@pytest.mark.parametrize("reason", ["USB presenter", "odd"])
def test_is_silent_while_a_part_hangs_and_speaks_again_afterwards(bench: Bench, reason: str) -> None:
    def check() -> None:
        bench.wait_words()
        bench.reason = reason
        threading.Event().wait(0.2)  # a word may be on its way
        assert bench.words_within(0.3) == 0
        bench.reason = ""
        bench.wait_words()

    bench.run(check)


@pytest.mark.spec("I5")
def test_is_silent_while_requests_would_hang(bench: Bench) -> None:
    def check() -> None:
        bench.wait_words()
        with bench.lock:  # somebody holds what every request needs
            threading.Event().wait(0.2)
            assert bench.words_within(0.3) == 0
        bench.wait_words()

    bench.run(check)


@pytest.mark.spec("I5")
def test_is_silent_while_the_event_loop_hangs(bench: Bench) -> None:
    async def hang() -> int:
        telling = asyncio.create_task(bench.server._tell_alive(EVERY_S))
        await asyncio.to_thread(bench.wait_words)
        words = await asyncio.to_thread(lambda: bench.words)
        threading.Event().wait(0.3)  # blocks the loop itself
        hung = bench.words - words
        telling.cancel()
        return hung

    assert asyncio.run(hang()) <= 1
