"""The kernel's classic BPF machine by networking/filter.rst: slow and obvious, to judge programs by.

What the kernel refuses when a filter is attached (net/core/filter.c, bpf_check_classic) is refused here, too.
"""

import functools
import struct
from dataclasses import dataclass

VLAN_TAG, VLAN_TAG_PRESENT = 0xFFFFF000 + 44, 0xFFFFF000 + 48
MOST = 4096
WORDS = 16
_SIZES = {0x00: 4, 0x08: 2, 0x10: 1}


@dataclass(frozen=True)
class Received:
    """A frame as a packet socket's filter sees it: `tci` is of the outer tag if that was taken out."""

    data: bytes
    tci: int | None = None


def run(program: bytes, packet: Received) -> int:
    """How many bytes of the packet are kept; raises ValueError for a program that the kernel would refuse."""
    code = _instructions(program)
    if not 1 <= len(code) <= MOST or code[-1][0] & 7 != 6:
        raise ValueError("too long, too short, or without an answer at its end")
    memory: dict[int, int] = {}
    a = x = at = 0
    while True:
        if at >= len(code):
            raise ValueError("runs beyond its end")
        operation, yes, no, k = code[at]
        at += 1
        kind, operand = operation & 7, x if operation & 8 else k
        if kind == 6:
            return a if operation & 0x18 == 0x10 else k
        if kind == 0 and operation & 0xE0 in (0x20, 0x40):
            size = _SIZES[operation & 0x18]
            place = k if operation & 0xE0 == 0x20 else x + k
            if place == VLAN_TAG:
                a = packet.tci or 0
            elif place == VLAN_TAG_PRESENT:
                a = int(packet.tci is not None)
            elif place + size > len(packet.data):
                return 0
            else:
                a = int.from_bytes(packet.data[place : place + size], "big")
        elif kind in (0, 1):
            value = {0x80: len(packet.data), 0x00: k}.get(operation & 0xE0)
            value = memory[k] if value is None else value  # KeyError: never stored
            a, x = (value, x) if kind == 0 else (a, value)
        elif kind in (2, 3):
            if k >= WORDS:
                raise ValueError("memory that is not there")
            memory[k] = a if kind == 2 else x
        elif kind == 4:
            a = _calculated(operation & 0xF0, a, operand) & 0xFFFFFFFF
        elif kind == 5:
            at += k if operation == 0x05 else yes if _holds(operation & 0xF0, a, operand) else no
        else:
            a, x = (x, x) if operation == 0x87 else (a, a)


@functools.lru_cache(maxsize=4)
def _instructions(program: bytes) -> list[tuple[int, ...]]:
    """One program runs on very many packets."""
    return list(struct.iter_unpack("=HBBI", program))


def _calculated(operation: int, a: int, operand: int) -> int:
    match operation:
        case 0x00:
            return a + operand
        case 0x10:
            return a - operand
        case 0x50:
            return a & operand
        case 0x60:
            return a << operand
        case 0x70:
            return a >> operand
    raise ValueError(f"operation {operation:#x}")


def _holds(operation: int, a: int, operand: int) -> bool:
    match operation:
        case 0x10:
            return a == operand
        case 0x20:
            return a > operand
        case 0x30:
            return a >= operand
        case 0x40:
            return bool(a & operand)
    raise ValueError(f"jump {operation:#x}")
