"""The boot state: one format, rules without loops, and no cut that leaves a third state."""

import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from allegro.errors import Unavailable
from allegro.firmware import boot_state
from allegro.firmware.boot_state import (
    BAD,
    COPY_OFFSETS,
    COPY_SIZE,
    PROVEN,
    TO_BE_TRIED,
    BootState,
    Reading,
    SlotState,
)

WRITTEN = sum(len(part) for _, part in boot_state.frames(bytes(COPY_SIZE)))

slots = st.sampled_from(boot_state.SLOTS)
slot_states = st.builds(SlotState, good=st.booleans(), tries_left=st.integers(0, boot_state.MAX_TRIES))
states = st.builds(
    BootState,
    primary=slots,
    slot_a=slot_states,
    slot_b=slot_states,
    last_good=slots,
    request=st.sampled_from(boot_state.REQUESTS),
    starts=st.integers(0, boot_state.STARTS - 1),
)
generations = st.integers(0, boot_state.GENERATIONS - 1)


@pytest.fixture(autouse=True)
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Notes flushes instead of doing them: the disks of building machines are slow at that."""
    descriptors: list[int] = []
    monkeypatch.setattr("allegro.firmware.boot_state.os.fsync", descriptors.append)
    return descriptors


class PowerCut(Exception):
    """The power goes in the middle of a write."""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A boot-state partition of a new device."""
    path = tmp_path / "boot-state"
    path.write_bytes(bytes(1 << 20))
    boot_state.write(path, BootState())
    return path


def damage(device: Path, number: int, content: bytes) -> None:
    with device.open("r+b") as file:
        file.seek(COPY_OFFSETS[number])
        file.write(content)


def write_until_cut(device: Path, state: BootState, remaining: int) -> None:
    """Write like boot_state.write, but lose power after `remaining` bytes."""
    real = os.pwrite

    def cut(descriptor: int, data: bytes, offset: int) -> int:
        nonlocal remaining
        count = min(remaining, len(data))
        real(descriptor, data[:count], offset)
        remaining -= count
        if count < len(data):
            raise PowerCut
        return count

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("allegro.firmware.boot_state.os.pwrite", cut)
        boot_state.write(device, state)


@given(states, generations)
def test_what_is_encoded_is_decoded(state: BootState, generation: int) -> None:
    copy = boot_state.encode(state, generation)
    assert len(copy) == COPY_SIZE
    assert copy[512:] == b"#" * 512, "all that matters lies in one sector"
    assert boot_state.decode(copy) == (state, generation)


@given(states, generations, st.integers(0, 400), st.integers(1, 255))
def test_a_changed_byte_never_gives_a_state_outside_the_rules(
    state: BootState, generation: int, at: int, change: int
) -> None:
    copy = bytearray(boot_state.encode(state, generation))
    copy[at] ^= change
    decoded = boot_state.decode(bytes(copy))
    if decoded is not None:
        assert boot_state.encode(*decoded) == bytes(copy)


@given(st.binary(min_size=COPY_SIZE, max_size=COPY_SIZE))
def test_random_bytes_are_no_state(copy: bytes) -> None:
    assert boot_state.decode(copy) is None


@pytest.mark.parametrize(
    "line", ["primary=slot-c", "slot_a_tries=4", "slot_a_tries=²", "starts=10", "extra=1"]
)
def test_values_outside_the_rules_are_refused(line: str) -> None:
    name = line.partition("=")[0]
    lines = boot_state.encode(BootState(), 0).rstrip(b"#").decode().splitlines()
    changed = [line if old.startswith(f"{name}=") else old for old in lines]
    text = "\n".join(changed if changed != lines else [*lines, line]) + "\n"
    assert boot_state.decode(text.encode().ljust(COPY_SIZE, b"#")) is None


@pytest.mark.spec("U3")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.lists(st.tuples(states, st.integers(0, WRITTEN)), min_size=1, max_size=8))
def test_a_cut_at_any_byte_leaves_the_old_state_or_the_new(
    device: Path, writes: list[tuple[BootState, int]]
) -> None:
    """Cut after cut, without a write in between that would heal."""
    boot_state.write(device, BootState())
    for new, remaining in writes:
        old = boot_state.read(device)
        try:
            write_until_cut(device, new, remaining)
        except PowerCut:
            assert boot_state.read(device) in (old, new)
        else:
            assert boot_state.read(device) == new


def test_each_copy_is_flushed_before_the_next_is_written(device: Path, flushed: list[int]) -> None:
    flushed.clear()
    boot_state.write(device, BootState(starts=1))
    assert len(flushed) == 2


@pytest.mark.spec("U3")
def test_every_single_cut_of_one_write(device: Path) -> None:
    old = BootState(primary="slot-b", slot_b=TO_BE_TRIED)
    new = BootState(primary="slot-a", slot_b=BAD, request="configuration-reset", starts=3)
    for remaining in range(WRITTEN):
        boot_state.write(device, old)
        with pytest.raises(PowerCut):
            write_until_cut(device, new, remaining)
        reading = boot_state.examine(device)
        assert reading.state in (old, new)
        assert len(reading.damaged) <= 1


def test_the_partition_is_an_archive_that_anybody_can_read(device: Path) -> None:
    with tarfile.open(device) as archive:
        members = {member.name: member for member in archive.getmembers()}
        assert [*members] == ["first", "space", "second"]
        for name, offset in zip(boot_state.COPY_NAMES, COPY_OFFSETS, strict=True):
            assert members[name].offset_data == offset
            content = archive.extractfile(name)
            assert content is not None
            assert boot_state.decode(content.read()) == (BootState(), 1)


@pytest.mark.parametrize("at", [0, COPY_OFFSETS[0] + COPY_SIZE, COPY_OFFSETS[1] - 512])
def test_a_damaged_archive_is_noticed_and_written_again(device: Path, at: int) -> None:
    with device.open("r+b") as file:
        file.seek(at)
        file.write(bytes(10))
    reading = boot_state.examine(device)
    assert reading.damaged == (int(at > COPY_OFFSETS[0] + COPY_SIZE),)
    assert reading.state == BootState()
    boot_state.write(device, reading.state)
    assert boot_state.examine(device).damaged == ()


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("content", [bytes(COPY_SIZE), b"\xff" * COPY_SIZE, b"x"])
def test_one_damaged_copy_changes_nothing_and_is_written_again(
    device: Path, number: int, content: bytes
) -> None:
    state = BootState(primary="slot-b", slot_b=PROVEN, last_good="slot-b")
    boot_state.write(device, state)
    damage(device, number, content)
    reading = boot_state.examine(device)
    assert reading.state == state
    assert reading.damaged == (number,)
    boot_state.write(device, reading.state)
    assert boot_state.examine(device).damaged == ()


@pytest.mark.parametrize("size", [0, 100, 1 << 20])
def test_an_unreadable_state_is_the_defaults(tmp_path: Path, size: int) -> None:
    path = tmp_path / "partition"
    path.write_bytes(bytes(size))
    assert boot_state.read(path) == BootState()
    assert boot_state.examine(path).lost


def test_a_missing_partition_is_read_as_defaults_but_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    assert boot_state.read(path) == BootState()
    with pytest.raises(Unavailable, match="boot state cannot be written"):
        boot_state.write(path, BootState())
    assert not path.exists()


@given(states)
def test_every_slot_gets_its_turn_when_nothing_comes_up(state: BootState) -> None:
    """Ten starts in a row that fail have tried all three versions, whatever the state was."""
    first = {boot_state.boot_order(replace(state, starts=starts))[0] for starts in range(boot_state.STARTS)}
    if state.request == "factory-reset":
        assert first == {"factory"}
    else:
        assert first == {"slot-a", "slot-b", "factory"}
    assert set(boot_state.boot_order(state)) == {"slot-a", "slot-b", "factory"}


def test_the_order_follows_tries_and_goodness() -> None:
    b_new = BootState(primary="slot-b", slot_b=TO_BE_TRIED)
    assert boot_state.boot_order(b_new)[0] == "slot-b"
    assert boot_state.boot_order(replace(b_new, slot_b=BAD)) == ("slot-a", "slot-b", "factory")
    used_up = BootState(primary="slot-a", slot_a=BAD, slot_b=BAD, last_good="slot-b")
    assert boot_state.boot_order(used_up) == ("slot-b", "slot-a", "factory")
    assert boot_state.boot_order(replace(used_up, request="factory-reset"))[0] == "factory"


def test_an_update_and_its_failure() -> None:
    state = BootState()
    state = boot_state.refused(state, "slot-b")
    state = boot_state.activated(state, "slot-b")
    assert state.slot_b == TO_BE_TRIED
    assert state.primary == "slot-b"
    assert boot_state.proven(state, "slot-b") == BootState(
        primary="slot-b", slot_b=PROVEN, last_good="slot-b", starts=0
    )
    failed = boot_state.refused(state, "slot-b")
    assert boot_state.boot_order(failed)[0] == "slot-a"
    assert failed.last_good == "slot-a"


def test_going_back_to_a_good_version_needs_no_tries() -> None:
    state = BootState(primary="slot-b", slot_b=PROVEN, last_good="slot-b", starts=4)
    assert boot_state.activated(state, "slot-a") == replace(state, primary="slot-a", starts=0)


def test_a_refused_slot_is_no_longer_the_last_good_if_the_other_is_good() -> None:
    both = BootState(slot_b=PROVEN, last_good="slot-b")
    assert boot_state.refused(both, "slot-b").last_good == "slot-a"
    alone = BootState(slot_a=BAD, slot_b=PROVEN, last_good="slot-b")
    assert boot_state.refused(alone, "slot-b").last_good == "slot-b"


@pytest.mark.parametrize(
    ("reading", "slot", "written"),
    [
        (Reading(used=0), "slot-a", None),
        (Reading(BootState(starts=2), used=0), "slot-a", BootState()),
        (Reading(used=0, damaged=(1,)), "slot-a", BootState()),
        (Reading(damaged=(0, 1)), "slot-a", BootState()),
        (
            Reading(damaged=(0, 1)),
            "slot-b",
            BootState(primary="slot-b", slot_a=BAD, slot_b=PROVEN, last_good="slot-b"),
        ),
        (Reading(damaged=(0, 1)), "factory", BootState()),
        (
            Reading(BootState(request="factory-reset", starts=1), used=1),
            "factory",
            BootState(request="factory-reset"),
        ),
    ],
)
def test_what_is_written_after_a_start(
    reading: Reading, slot: boot_state.BootName, written: BootState | None
) -> None:
    assert boot_state.come_up(reading, slot) == written


def test_the_kernel_command_line_tells_slot_and_request(tmp_path: Path, device: Path) -> None:
    line = tmp_path / "cmdline"
    line.write_text(
        "quiet allegro.slot=slot-b rauc.slot=slot-b allegro.request=configuration-reset panic=10\n"
    )
    assert boot_state.running(line) == "slot-b"
    assert boot_state.requested(device, line) == "configuration-reset"
    boot_state.write(device, BootState(request="factory-reset"))
    assert boot_state.requested(device, line) == "factory-reset"
    line.write_text("allegro.slot=factory allegro.request= quiet\n")
    assert boot_state.running(line) == "factory"
    boot_state.write(device, BootState())
    assert boot_state.requested(device, line) == ""
    assert boot_state.running(tmp_path / "none") is None
