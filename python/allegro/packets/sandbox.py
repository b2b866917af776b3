"""The program in which strangers' packets are dissected: takes those that are asked for, and becomes sharkd.

    python3 -m allegro.packets.sandbox [PATH OF SHARKD]        (`sandbox_contract` says how to talk to it)

Its unit gives it no right, no network, no file but programs and libraries, little memory and time: whatever a
dissector does with a packet made to break it stays in here.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

from allegro.errors import AllegroError
from allegro.packets.capture_blocks import Damage, Packet, parts
from allegro.packets.packet_sieve import PacketSieve
from allegro.packets.sandbox_contract import (
    LONGEST,
    PACKETS_FD,
    Refusal,
    Taken,
    Task,
    answer_line,
    parse_task,
)

SHARKD: Final = "/usr/bin/sharkd"

_TOGETHER: Final = 64
"""So many packets go through a filter at once."""

# Settings and plug-ins of users are looked for below the first two.
_ENVIRONMENT: Final = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}


def take(
    file: BinaryIO, out: Callable[[bytes], object], task: Task, clock: Callable[[], float] = time.monotonic
) -> Taken:
    """Gives `out` a file of the packets that are wanted. Raises InvalidInput if `file` holds none at all."""
    until = clock() + task.seconds
    digest = hashlib.blake2b(digest_size=8)
    count = size = skipped = 0
    more, searched, broken = False, 0, ""

    def write(data: bytes) -> None:
        nonlocal size
        out(data)
        digest.update(data)
        size += len(data)

    try:
        for part in _wanted(parts(file), task.program):
            if part is None:
                if clock() > until:
                    more, searched = True, file.tell()
                    break
                continue
            is_packet = isinstance(part, Packet)
            if is_packet and skipped < task.skip:
                skipped += 1
                if skipped % _TOGETHER or clock() <= until:
                    continue
                more, searched = True, file.tell()
                break
            raw = part.raw if isinstance(part, Packet) else part
            if (is_packet and count == task.most_packets) or size + len(raw) > task.most_bytes:
                more = True
                break
            write(raw)
            count += is_packet
    except Damage as damage:
        broken = str(damage)
    return Taken(count, digest.hexdigest(), more, searched, broken)


def _wanted(all_parts: Iterator[Packet | bytes], program: bytes) -> Iterator[Packet | bytes | None]:
    """What is to be written; now and then None, so that the time can be looked at."""
    if not program:
        yield from all_parts
        return
    sieve = PacketSieve(program)
    waiting: list[Packet] = []
    damage: Damage | None = None
    while True:
        part: Packet | bytes | None = None
        try:
            part = next(all_parts, None)
        except Damage as error:
            damage = error
        if isinstance(part, Packet):
            waiting.append(part)
        if waiting and (len(waiting) == _TOGETHER or not isinstance(part, Packet)):
            yield from sieve.passing(waiting)
            waiting = []
            yield None
        if isinstance(part, bytes):
            yield part
        if damage is not None:
            raise damage
        if part is None:
            return


def main(sharkd: str = SHARKD) -> int:
    """Does the task, then becomes sharkd; returns an exit code if there is nothing to dissect."""
    with socket.socket(fileno=os.dup(0)) as peer:
        try:
            line, descriptors = _received(peer)
            task = parse_task(line)
            memory = os.memfd_create("packets", 0)
            with os.fdopen(descriptors[0], "rb") as file, os.fdopen(memory, "wb", closefd=False) as out:
                taken = take(file, out.write, task)
        except (AllegroError, OSError, IndexError) as error:
            reason = error.message if isinstance(error, AllegroError) else f"It cannot be read ({error})."
            peer.sendall(answer_line(Refusal(reason)))
            return 1
        peer.sendall(answer_line(taken))
    os.dup2(memory, PACKETS_FD, inheritable=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # it says something at each start, and of each packet
    return os.execve(sharkd, [sharkd, "-"], {**_ENVIRONMENT, "TZ": task.zone})  # noqa: S606 (no shell)


def _received(peer: socket.socket) -> tuple[bytes, list[int]]:
    line, descriptors, _, _ = socket.recv_fds(peer, LONGEST, 1)
    while not line.endswith(b"\n") and len(line) < LONGEST and (rest := peer.recv(LONGEST)):
        line += rest
    return line, descriptors


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
