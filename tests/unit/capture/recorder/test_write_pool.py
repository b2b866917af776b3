from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from allegro.capture import _packets
from allegro.capture.recorder import write_pool
from allegro.capture.recorder.write_pool import WriteJob, WritePool
from allegro.capture.ring import record as blocks
from tests.harness.layers import ethernet, ipv4, tcp
from tests.harness.waiting import wait_for
from tests.unit.capture.blocks import NS, Frame, block

PAGE = 4096


@pytest.fixture
def target(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def job_of(descriptor: int, pages: int) -> tuple[WriteJob, memoryview]:
    """A job of single pages, each marked as handed over by the kernel, full of its number."""
    memory = memoryview(mmap.mmap(-1, pages * PAGE))
    job = WriteJob(descriptor, 0)
    for number in range(pages):
        view = memory[number * PAGE : (number + 1) * PAGE]
        view[:] = bytes([number + 1]) * PAGE
        assert job.takes(descriptor, number * PAGE, PAGE)
        job.add(view)
    return job, memory


def is_released(memory: memoryview) -> bool:
    return not any(blocks.is_ready(memory[at : at + PAGE]) for at in range(0, len(memory), PAGE))


def test_a_batch_is_written_and_its_blocks_given_back(target: int) -> None:
    job, memory = job_of(target, 5)
    pool = WritePool(2)
    pool.submit(job)
    wait_for(lambda: job.done, "writing", 10, 0.001)
    pool.close()
    assert [*job.errors] == [None] * 5
    assert os.pread(target, 6 * PAGE, 0) == b"".join(bytes([number]) * PAGE for number in range(1, 6))
    assert is_released(memory)


@pytest.mark.spec("R13")
def test_what_is_in_a_record_is_looked_at_while_there_is_memory_to_spare(tmp_path: Path) -> None:
    frames = [Frame(NS, ethernet(0x0800, ipv4(6, tcp(80, 81))))]
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    summaries: list[bytes] = []
    for target, spare in ((descriptor, True), (descriptor, False), (1 << 20, True)):
        memory = memoryview(mmap.mmap(-1, PAGE))
        memory[:] = block(frames, size=PAGE)
        job = WriteJob(target, 0)
        job.add(memory, partial(bool, spare))
        job.run()
        assert job.done
        summaries += job.summaries
    os.close(descriptor)
    assert [bool(summary) for summary in summaries] == [True, False, False]  # the last one was not written


def test_a_block_whose_packets_cannot_be_looked_at_goes_back_to_the_kernel_too(
    target: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bytes:
        raise ValueError("not a block")

    monkeypatch.setattr(_packets, "summarize", refuse)
    memory = memoryview(mmap.mmap(-1, PAGE))
    memory[:] = b"\x01" * PAGE
    job = WriteJob(target, 0)
    job.add(memory, lambda: True)
    job.run()
    assert (job.done, [*job.errors], [*job.summaries]) == (True, [None], [b""])


def test_only_neighbours_join_a_batch(target: int) -> None:
    job, _ = job_of(target, 2)
    assert job.takes(target, 2 * PAGE, PAGE)
    assert not job.takes(target, 3 * PAGE, PAGE)
    assert not job.takes(target + 1, 2 * PAGE, PAGE)
    assert not job.takes(target, 2 * PAGE, write_pool.MOST_BYTES)


@pytest.mark.spec("R5")
def test_an_error_is_told_and_the_blocks_are_given_back_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    job, memory = job_of(descriptor, 3)
    job.run()
    os.close(descriptor)
    assert job.done
    assert [error and error.errno for error in job.errors] == [errno.EBADF] * 3
    assert is_released(memory)


@pytest.mark.spec("R5")
@pytest.mark.parametrize(("bad", "lost"), [((2,), (2,)), ((1, 2), (1, 2)), (range(1, 4), range(1, 6))])
def test_a_bad_sector_costs_its_record_not_the_batch(
    target: int, monkeypatch: pytest.MonkeyPatch, bad: Sequence[int], lost: Sequence[int]
) -> None:
    """Who refuses further records is asked no more: each time may take half a minute."""
    plain, asked = os.pwritev, 0

    def refuse(descriptor: int, views: list[memoryview], offset: int) -> int:
        nonlocal asked
        asked += 1
        if any(offset <= page * PAGE < offset + sum(map(len, views)) for page in bad):
            raise OSError(errno.EIO, "bad sector")
        return plain(descriptor, views, offset)

    monkeypatch.setattr(os, "pwritev", refuse)
    job, memory = job_of(target, 6)
    job.run()
    assert [number for number, error in enumerate(job.errors) if error] == [*lost]
    assert asked == 1 + (4 if len(bad) == 3 else 6)
    assert is_released(memory)
    for number in {*range(6)} - {*lost}:
        assert os.pread(target, PAGE, number * PAGE) == bytes([number + 1]) * PAGE


@pytest.mark.parametrize("first", [0, 1000, PAGE, 2 * PAGE + 7])
def test_a_short_write_is_completed(target: int, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(descriptor: int, views: list[memoryview], offset: int) -> int:
        return os.pwrite(descriptor, b"".join(views)[:first], offset)

    monkeypatch.setattr(os, "pwritev", short)
    job, _ = job_of(target, 3)
    job.run()
    assert [*job.errors] == [None] * 3
    assert os.pread(target, 4 * PAGE, 0) == b"".join(bytes([number]) * PAGE for number in range(1, 4))


def test_without_direct_writes_it_goes_on_with_buffered_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    plain = os.pwritev

    def refuse_direct(target: int, views: list[memoryview], offset: int) -> int:
        if fcntl.fcntl(target, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no direct writes here")
        return plain(target, views, offset)

    monkeypatch.setattr(os, "pwritev", refuse_direct)
    job, _ = job_of(descriptor, 2)
    job.run()
    os.close(descriptor)
    assert [*job.errors] == [None] * 2
    assert (tmp_path / "file").stat().st_size == 2 * PAGE
