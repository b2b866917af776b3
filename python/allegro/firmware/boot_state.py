"""What the boot loader and the system tell each other: which slot starts, and how often it may be tried.

The state lies in the partition `boot-state`, twice, as GRUB environment blocks (GRUB 2.12,
grub-core/lib/envblk.c): 1024 bytes, a first line that names the format, lines `name=value`, the rest "#".
GRUB reads and writes the same two copies by the same rules (board/allegro/grub/grub.cfg.in). It writes only
to what it knows as a file, so the partition is a tar archive of two files: their places never change, and
nobody needs to mount anything.

- The first copy that is whole counts. It has the same number in its first line and in its last.
- Who writes, writes the copy first that does not count at the moment, then the other one; so a cut at any
  byte leaves the old state or the new one.
- All values lie in the copy's first 512 bytes, a sector, which disks write as a whole.
- Where no copy is whole, the defaults apply, and they boot.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from allegro.errors import Unavailable

Slot: TypeAlias = Literal["slot-a", "slot-b"]
BootName: TypeAlias = Literal["slot-a", "slot-b", "factory"]
Request: TypeAlias = Literal["", "configuration-reset", "factory-reset"]

SLOTS: tuple[Slot, Slot] = ("slot-a", "slot-b")
FACTORY: Literal["factory"] = "factory"
REQUESTS: tuple[Request, ...] = ("", "configuration-reset", "factory-reset")

DEVICE = Path("/dev/disk/by-partlabel/boot-state")
COMMAND_LINE = Path("/proc/cmdline")

MAX_TRIES = 3
"""How often a slot is started that has not proven good yet."""

OTHER_SLOT_FROM = 6
FACTORY_FROM = 8
STARTS = 10
"""Starts in a row that did not come up are counted from 0 to 9, then from 0 again; see boot_order()."""

_SECTOR = 512

COPY_SIZE = 1024
COPY_OFFSETS = (_SECTOR, 512 << 10)
"""Bytes from the start of the partition: far apart, so that no disk has both in one block of its own."""

COPY_NAMES = ("first", "second")
"""The names of the copies in the archive."""

GENERATIONS = 3
"""Enough that a copy torn by a cut never ends with the number it begins with (test_boot_state.py tries)."""

_SIGNATURE = b"# GRUB Environment Block\n"


@dataclass(frozen=True)
class SlotState:
    """Whether the slot's version has proven good, and how often it may still be tried if not (0..3)."""

    good: bool
    tries_left: int

    @property
    def usable(self) -> bool:
        """Whether GRUB would start it by itself."""
        return self.good or self.tries_left > 0


PROVEN = SlotState(good=True, tries_left=MAX_TRIES)
TO_BE_TRIED = SlotState(good=False, tries_left=MAX_TRIES)
BAD = SlotState(good=False, tries_left=0)


@dataclass(frozen=True)
class BootState:
    """The state; the defaults are those of a new device: slot A holds the version shipped, slot B is empty.

    `last_good` is what starts when no slot may be tried any more. `starts` (0..9) counts starts that did not
    come up since the last that did.
    """

    primary: Slot = "slot-a"
    slot_a: SlotState = PROVEN
    slot_b: SlotState = BAD
    last_good: Slot = "slot-a"
    request: Request = ""
    starts: int = 0

    def slot(self, name: Slot) -> SlotState:
        """Return the state of one slot."""
        return self.slot_a if name == "slot-a" else self.slot_b

    def with_slot(self, name: Slot, state: SlotState) -> BootState:
        """Return the boot state with one slot's state replaced."""
        return replace(self, slot_a=state) if name == "slot-a" else replace(self, slot_b=state)


@dataclass(frozen=True)
class Reading:
    """What was read: the state that counts, and how whole the two copies are."""

    state: BootState = field(default_factory=BootState)
    used: int | None = None
    generation: int = 0
    damaged: tuple[int, ...] = ()

    @property
    def lost(self) -> bool:
        """Whether no copy could be read, so that the state is only the defaults."""
        return self.used is None


def other_slot(name: Slot) -> Slot:
    """Return the other one of the two."""
    return "slot-b" if name == "slot-a" else "slot-a"


def chosen_slot(state: BootState) -> Slot:
    """Return the slot that starts normally.

    The primary one, if it is good or may be tried; else the other one, if so; else the last good.
    """
    for slot in (state.primary, other_slot(state.primary)):
        if state.slot(slot).usable:
            return slot
    return state.last_good


def boot_order(state: BootState) -> tuple[BootName, BootName, BootName]:
    """Return in which order GRUB tries to load the slots at the next start.

    Normally: the chosen slot, the other one, the factory version. After some starts in a row that did not
    come up (a good slot whose disk has worn out, say) the other slot gets its turn, then the factory version,
    then all again: never the same for ever.
    """
    first = chosen_slot(state)
    second = other_slot(first)
    if state.request == "factory-reset" or state.starts >= FACTORY_FROM:
        return FACTORY, first, second
    if state.starts >= OTHER_SLOT_FROM:
        return second, first, FACTORY
    return first, second, FACTORY


def encode(state: BootState, generation: int) -> bytes:
    """Return one copy, 1024 bytes."""
    values = {
        "generation": str(generation),
        "primary": state.primary,
        "slot_a_good": str(int(state.slot_a.good)),
        "slot_a_tries": str(state.slot_a.tries_left),
        "slot_b_good": str(int(state.slot_b.good)),
        "slot_b_tries": str(state.slot_b.tries_left),
        "last_good": state.last_good,
        "request": state.request,
        "starts": str(state.starts),
        "end": str(generation),
    }
    text = _SIGNATURE + "".join(f"{name}={value}\n" for name, value in values.items()).encode()
    if len(text) > _SECTOR:
        raise ValueError(f"the boot state needs {len(text)} bytes, more than a sector")
    return text.ljust(COPY_SIZE, b"#")


def decode(copy: bytes) -> tuple[BootState, int] | None:
    """Return state and generation of one copy, or None when it is not whole."""
    text = copy.rstrip(b"#")
    if len(copy) != COPY_SIZE or not text.startswith(_SIGNATURE) or not text.endswith(b"\n"):
        return None
    try:
        lines = text.decode("ascii").split("\n")[1:-1]
        values = dict(line.split("=", 1) for line in lines)
        state = BootState(
            primary=_slot(values["primary"]),
            slot_a=_slot_state(values["slot_a_good"], values["slot_a_tries"]),
            slot_b=_slot_state(values["slot_b_good"], values["slot_b_tries"]),
            last_good=_slot(values["last_good"]),
            request=_request(values["request"]),
            starts=_digit(values["starts"], STARTS - 1),
        )
        generation = _digit(values["generation"], GENERATIONS - 1)
    except (ValueError, KeyError):
        return None
    # Made again from what was understood it is the same: nothing is missing, nothing is foreign.
    return (state, generation) if encode(state, generation) == copy else None


def _slot(text: str) -> Slot:
    for name in SLOTS:
        if text == name:
            return name
    raise ValueError(text)


def _request(text: str) -> Request:
    for name in REQUESTS:
        if text == name:
            return name
    raise ValueError(text)


def _digit(text: str, highest: int) -> int:
    if len(text) != 1 or not "0" <= text <= str(highest):
        raise ValueError(text)
    return int(text)


def _slot_state(good: str, tries: str) -> SlotState:
    return SlotState(bool(_digit(good, 1)), _digit(tries, MAX_TRIES))


def _header(name: str, size: int) -> bytes:
    """Return the header of a file in a tar archive (POSIX.1-1988, ustar), a sector."""
    fields = name.encode().ljust(100, b"\0") + b"0000600\0" + 2 * b"0000000\0"
    fields += f"{size:011o}\0{0:011o}\0".encode() + b" " * 8 + b"0" + bytes(100)
    fields += b"ustar\x0000".ljust(_SECTOR - len(fields), b"\0")
    return fields[:148] + f"{sum(fields):06o}\0 ".encode() + fields[156:]


def frames(copy: bytes) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """Return offset and content of both parts of the archive, each with one copy; nothing is between them."""
    first, second = COPY_OFFSETS
    space = second - _SECTOR - (first + COPY_SIZE + _SECTOR)
    one = _header(COPY_NAMES[0], COPY_SIZE) + copy + _header("space", space)
    two = _header(COPY_NAMES[1], COPY_SIZE) + copy + bytes(2 * _SECTOR)
    return (first - _SECTOR, one), (second - _SECTOR, two)


def choose(parts: tuple[bytes, bytes]) -> Reading:
    """Return what the two parts of the archive say together."""
    copies = [part[_SECTOR : _SECTOR + COPY_SIZE] for part in parts]
    decoded = [decode(copy) for copy in copies]
    damaged = tuple(
        number
        for number, (part, copy, one) in enumerate(zip(parts, copies, decoded, strict=True))
        if one is None or part != frames(copy)[number][1]
    )
    for number, one in enumerate(decoded):
        if one is not None:
            return Reading(one[0], number, one[1], damaged)
    return Reading(damaged=damaged)


def examine(device: Path = DEVICE) -> Reading:
    """Return the state and how whole it is; a partition that cannot be read counts as two damaged copies."""
    try:
        with device.open("rb", buffering=0) as file:
            first, second = (os.pread(file.fileno(), len(part), at) for at, part in frames(bytes(COPY_SIZE)))
    except OSError:
        return choose((b"", b""))
    return choose((first, second))


def read(device: Path = DEVICE) -> BootState:
    """Return the state, or the defaults when it cannot be read: a device starts with them as well."""
    return examine(device).state


def write(device: Path, state: BootState) -> None:
    """Write both copies, the one that counts last. Raises Unavailable when it cannot."""
    reading = examine(device)
    order = (1, 0) if reading.used == 0 else (0, 1)
    parts = frames(encode(state, (reading.generation + 1) % GENERATIONS))
    try:
        descriptor = os.open(device, os.O_WRONLY)
        try:
            for number in order:
                at, part = parts[number]
                os.pwrite(descriptor, part, at)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Unavailable(
            f"The boot state cannot be written: {error.strerror}.",
            place=str(device),
            remedy="The disk may be damaged. The device starts with the version it chooses itself.",
        ) from error


def _words(command_line: Path) -> dict[str, str]:
    try:
        text = command_line.read_text()
    except OSError:
        return {}
    return dict(word.split("=", 1) for word in text.split() if "=" in word)


def running(command_line: Path = COMMAND_LINE) -> BootName | None:
    """Return the slot that the running system was started from; None when the kernel was not told."""
    name = _words(command_line).get("allegro.slot", "")
    return FACTORY if name == FACTORY else next((slot for slot in SLOTS if slot == name), None)


def requested(device: Path = DEVICE, command_line: Path = COMMAND_LINE) -> Request:
    """Return the reset that is to be done: what the state asks for, else the menu entry that was chosen.

    GRUB notes an entry in the state and tells the kernel as well (`allegro.request=`): it cannot write a
    state that is damaged.
    """
    asked = read(device).request or _words(command_line).get("allegro.request", "")
    return next((request for request in REQUESTS if request == asked), "")


def proven(state: BootState, name: Slot) -> BootState:
    """Return the state after this slot came up healthy: it is good, and what starts when others fail."""
    return replace(state.with_slot(name, PROVEN), last_good=name, starts=0)


def refused(state: BootState, name: Slot) -> BootState:
    """Return the state in which this slot is not started by itself any more, e.g. while it is overwritten."""
    other = other_slot(name)
    last_good = other if state.last_good == name and state.slot(other).good else state.last_good
    return replace(state.with_slot(name, BAD), last_good=last_good)


def activated(state: BootState, name: Slot) -> BootState:
    """Return the state in which this slot starts next; one that has not proven good gets all its tries."""
    slot = state.slot(name)
    return replace(state.with_slot(name, slot if slot.good else TO_BE_TRIED), primary=name, starts=0)


def come_up(reading: Reading, name: BootName | None) -> BootState | None:
    """Return what to write after the slot `name` has come up, or None when all is as it should be.

    Counted starts begin anew, damaged copies are written again. Where the state was lost, the slot that
    runs is primary and good: it is the one thing known.
    """
    state = reading.state
    if reading.lost and name in SLOTS:
        state = replace(proven(BootState(slot_a=BAD), _slot(name)), primary=_slot(name))
    if reading.damaged or state.starts:
        return replace(state, starts=0)
    return None
