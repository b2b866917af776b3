from __future__ import annotations

import ctypes
import mmap
from pathlib import Path

import pytest

from allegro.capture.extraction.buffers import buffer
from allegro.capture.extraction.output import OUT_SIZE, Writer, room_for

_KERNEL_HAS_SUCH_PAGES = Path("/sys/kernel/mm/transparent_hugepage").exists()


def wants_large_pages(memory: mmap.mmap) -> bool:
    """Whether the kernel has noted so ("hg" of proc_pid_smaps(5))."""
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *values = line.split()
        if not name.endswith(":"):
            begin, _, end = name.partition("-")
            inside = int(begin, 16) <= address < int(end, 16)
        elif inside and name == "VmFlags:":
            return "hg" in values
    raise AssertionError("There is no such memory.")


@pytest.mark.spec("T4")
@pytest.mark.parametrize("filled", [True, False])
def test_a_buffer_that_is_filled_is_of_large_pages(filled: bool) -> None:
    memory = buffer(OUT_SIZE, filled=filled)
    assert wants_large_pages(memory) == (filled and _KERNEL_HAS_SUCH_PAGES)
    memory[-1] = 1
    assert memory[:2] == bytes(2)


@pytest.mark.spec("T4")
@pytest.mark.parametrize("files", [1, 100])
def test_large_pages_are_for_few_files_as_many_fill_little_of_their_buffers(files: int) -> None:
    with Writer(room_for(files)) as writer:
        assert wants_large_pages(writer.spare()) == (files == 1 and _KERNEL_HAS_SUCH_PAGES)


@pytest.mark.spec("T4")
def test_a_kernel_without_large_pages_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", -1)  # no such advice: EINVAL
    memory = buffer(OUT_SIZE, filled=True)
    assert not wants_large_pages(memory)
