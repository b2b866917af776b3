"""Starts that hang or crash are begun anew by the bench, with a real QEMU and the smallest of systems."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import starts
from tests.harness.accelerator import Accelerator
from tests.harness.agent import Injection
from tests.harness.bench_errors import BenchError, GuestResetError
from tests.harness.qemu import Configuration, SavedState, VirtualMachine
from tests.harness.watch import CRASH, CRASHED, CRASHED_RESUMED, HUNG, TRIES, Limits

LIMITS = Limits(silent_s=2, computed_s=1, answer_s=1)
_FREE = 0x50  # a byte of the clock's memory that the BIOS leaves alone and a reset keeps (MC146818)


def _say(text: str) -> bytes:
    """8086: mov dx,0x3f8 (serial port); mov al,c; out dx,al for each character."""
    return b"\xba\xf8\x03" + b"".join(bytes((0xB0, byte, 0xEE)) for byte in text.encode())


SPIN = b"\xeb\xfe"  # jmp to itself
RESET = b"\xb0\xfe\xe6\x64" + SPIN  # mov al,0xfe; out 0x64,al: the keyboard controller's reset line
# sti; mov ax,[0x46c] (the BIOS's clock, 18.2 ticks a second); add ax,36; mov bx,ax;
# mov ax,[0x46c]; cmp ax,bx; jne to the mov before
TWO_SECONDS = b"\xfb\xa1\x6c\x04\x05\x24\x00\x89\xc3" + b"\xa1\x6c\x04\x39\xd8\x75\xf9"


def sector(first: bytes, later: bytes) -> bytes:
    """A boot sector that does `first` at the first start and `later` after a reset."""
    select = bytes((0xB0, _FREE, 0xE6, 0x70))  # mov al,FREE; out 0x70,al
    mark = select + b"\xb0\x42\xe6\x71"  # mov al,0x42; out 0x71,al
    # in al,0x71; cmp al,0x42; je later
    code = select + b"\xe4\x71\x3c\x42" + b"\x74" + bytes((len(mark + first),)) + mark + first + later
    assert len(code) <= 510
    return code.ljust(510, b"\0") + b"\x55\xaa"


class Make:
    """Makes a running machine from a boot sector."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made: list[VirtualMachine] = []

    def __call__(self, boot: bytes) -> VirtualMachine:
        image = self._folder / f"{len(self.made)}.img"
        image.write_bytes(boot.ljust(1 << 20, b"\0"))
        nothing = Injection(units={}, early_units={}, files={}, drop_ins={})
        configuration = Configuration(
            image=image, memory_mib=64, processors=1, ports=0, presenter="none", injection=nothing
        )
        machine = VirtualMachine(
            self._folder / str(len(self.made)),
            configuration,
            accelerator=Accelerator("tcg", ("-accel", "tcg"), "the fault is one of TCG"),
            limits=LIMITS,
        )
        self.made.append(machine)
        machine.start()
        return machine


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made = Make(tmp_path)
    yield made
    for machine in made.made:
        machine.close()
    starts.take()  # made to hang: the table at the end of a run counts those that do so by themselves


@pytest.mark.spec("I3")
def test_a_start_that_spins_in_silence_is_begun_anew(make: Make) -> None:
    machine = make(sector(first=SPIN, later=_say("Welcome") + SPIN))
    machine.wait_serial("Welcome", 60)
    assert machine.begun_anew == [HUNG]


@pytest.mark.spec("I3")
def test_a_start_that_always_spins_is_given_up_and_the_waiting_ends(make: Make) -> None:
    machine = make(sector(first=SPIN, later=SPIN))
    with pytest.raises(BenchError, match="QEMU ended"):
        machine.wait_serial("Welcome", 600)
    assert len(machine.begun_anew) == TRIES
    with pytest.raises(BenchError, match=f"{TRIES} times nothing more came by the serial line"):
        machine.wait_agent(600)


@pytest.mark.spec("I3")
def test_a_crash_of_the_kernel_is_counted(make: Make) -> None:
    machine = make(sector(first=_say(f"{CRASH}\r\n") + RESET, later=_say("Welcome") + SPIN))
    machine.wait_serial("Welcome", 60)
    machine.cut_power()
    assert machine.begun_anew == [CRASHED]


@pytest.mark.spec("I3")
def test_what_was_asked_of_a_guest_before_its_restart_is_not_waited_for(make: Make) -> None:
    """The machine has no agent: only the reset ends the request."""
    machine = make(sector(first=_say("once") + SPIN, later=_say("again") + SPIN))
    machine.wait_serial("once", 60)
    with pytest.raises(BenchError, match="started anew before it answered"):
        machine.agent.request("clock", 600)


@pytest.mark.spec("I3")
def test_a_guest_that_crashes_right_after_it_was_resumed_is_resumed_again(make: Make, tmp_path: Path) -> None:
    """This one crashes each time, as the saved state is always the same: it is given up."""
    machine = make(sector(first=_say("once") + TWO_SECONDS + RESET, later=_say("again") + SPIN))
    machine.wait_serial("once", 60)
    state = SavedState.at(tmp_path / "state", machine.configuration)
    machine.save(state)
    resumed = VirtualMachine(
        tmp_path / "resumed", saved=state, accelerator=machine.accelerator, limits=LIMITS
    )
    make.made.append(resumed)
    with pytest.raises(GuestResetError):
        resumed.start()
    assert resumed.begun_anew == [CRASHED_RESUMED] * (TRIES - 1)
