"""Slicing rules as the recorder is told them: in words for people, and as programs for the kernel.

In recorder.json::

    {"text": "1. phones: keep 96 bytes of udpPort == 5060", "programs": ["2800…"], "ports": {"port1": 0, …}}

A program is hexadecimal: struct sock_filter after struct sock_filter, in the byte order of this machine. It
is made by the supervisor, which knows the language (`allegro.filters.kernel_program`); of a port that is not
named everything is kept.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from allegro.errors import InvalidInput

MOST_PROGRAMS = 64
MOST_INSTRUCTIONS = 4096  # BPF_MAXINSNS, linux/bpf_common.h

_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter, linux/filter.h
_RETURN_NUMBER = 0x06

KEEP_ALL = _INSTRUCTION.pack(_RETURN_NUMBER, 0, 0, 0xFFFFFFFF)
"""What a port is told that had rules, and has none any more."""


@dataclass(frozen=True)
class PortRules:
    """`ports`: which program, by its number, is for which port."""

    text: str = ""
    programs: tuple[bytes, ...] = ()
    ports: dict[str, int] = field(default_factory=dict)

    def program(self, port: str) -> bytes:
        """What is to run on a port; empty: nothing, everything is kept."""
        number = self.ports.get(port)
        return b"" if number is None else self.programs[number]


NO_RULES = PortRules()


def discards(program: bytes) -> bool:
    """Whether a program can discard packets."""
    return any(code == _RETURN_NUMBER and k == 0 for code, _, _, k in _INSTRUCTION.iter_unpack(program))


def to_json(rules: PortRules) -> dict[str, Any]:
    """As `from_json` reads it."""
    return {
        "text": rules.text,
        "programs": [program.hex() for program in rules.programs],
        "ports": rules.ports,
    }


def from_json(value: Any) -> PortRules:
    """Raises InvalidInput for what is no such object. Whether the kernel takes a program it says itself."""
    try:
        text, ports = value["text"], dict(value["ports"])
        programs = tuple(bytes.fromhex(program) for program in value["programs"])
    except (TypeError, ValueError, KeyError) as error:
        raise InvalidInput(f"are not as expected: {error!r}", place="rules") from None
    lengths = {len(program) for program in programs}
    right = (
        isinstance(text, str)
        and len(programs) <= MOST_PROGRAMS
        and all(0 < size <= MOST_INSTRUCTIONS * _INSTRUCTION.size for size in lengths)
        and not any(size % _INSTRUCTION.size for size in lengths)
        and all(isinstance(port, str) and type(number) is int for port, number in ports.items())
        and all(0 <= number < len(programs) for number in ports.values())
    )
    if not right:
        raise InvalidInput("are not as expected", place="rules")
    return PortRules(text, programs, ports)
