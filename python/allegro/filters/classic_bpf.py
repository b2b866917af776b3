"""Writes programs for the kernel's classic BPF machine (networking/filter.rst). No I/O.

Conditional jumps of that machine reach 255 instructions; one that has to go further is written as a short
jump to an unconditional one, which has 32 bits.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MOST_INSTRUCTIONS = 4096
"""BPF_MAXINSNS, linux/bpf_common.h."""

INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter, linux/filter.h

LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30  # LD with BPF_ABS
LOAD_WORD_X, LOAD_HALF_X, LOAD_BYTE_X = 0x40, 0x48, 0x50  # LD with BPF_IND: at X + k
LOAD_LENGTH, LOAD_NUMBER, LOAD_MEMORY = 0x80, 0x00, 0x60
LOAD_X_MEMORY = 0x61
STORE, STORE_X = 0x02, 0x03
ADD, ADD_X, SUBTRACT_X = 0x04, 0x0C, 0x1C
AND, SHIFT_LEFT, SHIFT_RIGHT = 0x54, 0x64, 0x74
JUMP, EQUAL, GREATER, AT_LEAST, AT_LEAST_X, ANY_BIT = 0x05, 0x15, 0x25, 0x35, 0x3D, 0x45
RETURN = 0x06
A_TO_X, X_TO_A = 0x07, 0x87

VLAN_TAG, VLAN_TAG_PRESENT = 0xFFFFF000 + 44, 0xFFFFF000 + 48
"""Where LOAD_WORD finds what stands beside a packet: SKF_AD_OFF and more (linux/filter.h)."""

_FARTHEST = 255


class Label:
    """A place in the program that may be known later."""

    def __init__(self) -> None:
        self.item = -1


@dataclass
class _Item:
    """An instruction with the unconditional jumps that it needs behind it."""

    code: int
    number: int
    yes: Label | None = None
    no: Label | None = None
    yes_is_far: bool = False
    no_is_far: bool = False

    @property
    def size(self) -> int:
        return 1 + self.yes_is_far + self.no_is_far


class Assembler:
    """Collects instructions. Every label that is jumped to has to be placed, behind the jump."""

    def __init__(self) -> None:
        self._items: list[_Item] = []

    def put(self, code: int, number: int = 0) -> None:
        """An instruction that the next one follows, or a RETURN."""
        self._items.append(_Item(code, number))

    def test(self, code: int, number: int = 0, *, yes: Label | None = None, no: Label | None = None) -> None:
        """A conditional jump; where no label is given the next instruction follows."""
        self._items.append(_Item(code, number, yes, no))

    def go(self, label: Label) -> None:
        """An unconditional jump."""
        self._items.append(_Item(JUMP, 0, label))

    def place(self, label: Label) -> None:
        """The label means the next instruction."""
        label.item = len(self._items)

    def length_before(self, label: Label) -> int:
        """How many instructions stand before a label in the finished program."""
        return self._laid_out()[label.item]

    def finished(self) -> list[tuple[int, int, int, int]]:
        """The instructions (code, jt, jf, k), however many they are."""
        starts = self._laid_out()
        found: list[tuple[int, int, int, int]] = []
        for place, item in enumerate(self._items):
            start = starts[place]
            if item.code == JUMP:
                found.append((JUMP, 0, 0, _distance(starts, item.yes, start + 1)))
                continue
            after = item.size - 1
            yes = (
                0
                if item.yes_is_far
                else after
                if item.yes is None
                else _distance(starts, item.yes, start + 1)
            )
            no = after if item.no is None else _distance(starts, item.no, start + 1)
            if item.no_is_far:
                no = int(item.yes_is_far)
            conditional = item.yes is not None or item.no is not None
            found.append((item.code, yes if conditional else 0, no if conditional else 0, item.number))
            for label, far in ((item.yes, item.yes_is_far), (item.no, item.no_is_far)):
                if far:
                    found.append((JUMP, 0, 0, _distance(starts, label, len(found) + 1)))
        return found

    def _laid_out(self) -> list[int]:
        """Where each item starts, and the end; jumps that turn out to be far become so, and stay so."""
        while True:
            starts = [0]
            for item in self._items:
                starts.append(starts[-1] + item.size)
            if not self._make_far(starts):
                return starts

    def _make_far(self, starts: list[int]) -> bool:
        changed = False
        for place, item in enumerate(self._items):
            if item.code == JUMP:
                continue
            following = starts[place] + 1
            if item.yes and not item.yes_is_far and _distance(starts, item.yes, following) > _FARTHEST:
                item.yes_is_far = changed = True
            if item.no and not item.no_is_far and _distance(starts, item.no, following) > _FARTHEST:
                item.no_is_far = changed = True
        return changed


def _distance(starts: list[int], label: Label | None, following: int) -> int:
    assert label is not None  # noqa: S101 (only where there is one is a distance asked for)
    distance = starts[label.item] - following
    if label.item < 0 or distance < 0:
        raise ValueError("a label of a BPF program stands nowhere, or before the jump to it")
    return distance
