from __future__ import annotations

import random
from collections import deque

import pytest

from allegro.capture.recorder import memory
from allegro.capture.recorder.memory import Arena, blocks_for

MIB = 1 << 20


@pytest.mark.spec("R5")
def test_copies_stay_as_they_are_until_they_are_given_back() -> None:
    rng = random.Random(5)
    arena = Arena(64 * 4096)
    held: deque[tuple[memoryview, bytes]] = deque()
    refused = taken = 0
    for _ in range(5000):
        if rng.random() < 0.55:
            data = rng.randbytes(rng.randrange(1, 5 * 4096))
            view = arena.copy(memoryview(data))
            if view is None:
                refused += 1
                assert len(held) * 5 > 64 - 2 * 5
            else:
                taken += 1
                assert len(view) % 4096 == 0
                held.append((view, data))
        elif held:
            view, data = held.popleft()
            assert view[: len(data)] == data
            view.release()
            arena.give_back()
    assert refused
    assert taken > 2000


def test_what_is_larger_than_the_arena_is_refused() -> None:
    arena = Arena(4 * 4096)
    assert arena.copy(memoryview(bytes(4 * 4096 + 1))) is None
    whole = arena.copy(memoryview(bytes(4 * 4096)))
    assert whole is not None
    assert arena.copy(memoryview(bytes(1))) is None
    whole.release()
    arena.give_back()
    assert arena.copy(memoryview(bytes(4 * 4096))) is not None


@pytest.mark.parametrize(
    ("speed", "gibibytes", "ports", "blocks"),
    [
        (-1, 4, 2, 64),
        (100, 4, 2, 64),
        (1000, 4, 2, 120),
        (1000, 1, 4, 64),
        (10_000, 16, 2, 1193),
        (10_000, 4, 8, 128),
        (100_000, 512, 2, 2048),
        (1000, 1, 64, 16),
    ],
)
def test_a_port_gets_a_second_at_line_rate_where_memory_allows(
    monkeypatch: pytest.MonkeyPatch, speed: int, gibibytes: int, ports: int, blocks: int
) -> None:
    monkeypatch.setattr(memory, "fastest_mbit", lambda name: speed)
    monkeypatch.setattr(memory, "_memory", lambda: gibibytes << 30)
    assert blocks_for("port1", MIB, ports, 0) == blocks


@pytest.mark.spec("R5")
def test_ports_that_come_one_by_one_get_no_more_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "fastest_mbit", lambda name: 10_000)
    monkeypatch.setattr(memory, "_memory", lambda: 4 << 30)
    taken: list[int] = []
    for ports in range(1, 5):
        taken.append(blocks_for(f"port{ports}", MIB, ports, sum(taken) * MIB))
    assert taken == [1024, 16, 16, 16]
    taken = [blocks_for("port1", MIB, 2, 0)]
    taken.append(blocks_for("port2", MIB, 2, taken[0] * MIB))
    assert taken == [512, 512]


def test_a_port_that_is_not_there_gets_what_is_usual() -> None:
    assert blocks_for("no such port", MIB, 1, 0) == 64
