"""Cards with drivers of all kinds, played at the place of the kernel's call (linux/ethtool.h)."""

import errno
import socket
import struct
from collections.abc import Callable
from typing import TypeVar

import pytest

from allegro.network import ethtool

T = TypeVar("T")

pytestmark = pytest.mark.spec("R12")


class Card:
    """A driver. What is None or empty it does not have; `refuses` is asked before something is set."""

    def __init__(self) -> None:
        self.rings: list[int] | None = None
        """Largest receive, mini, jumbo, send; then the present ones."""
        self.pause: list[int] | None = None
        """Whether negotiated, receive, send."""
        self.flags: dict[str, bool] = {}
        self.features: dict[str, bool] = {}
        self.fixed: set[str] = set()
        self.refuses: Callable[[list[int]], int] = lambda wanted: 0
        self.set_calls = 0
        self.light: int | None = None
        """For how many seconds it has blinked."""

    def __call__(self, control: socket.socket, name: str, request: bytes) -> bytes:
        command = struct.unpack_from("I", request)[0]
        answer: bytes = {
            0x10: self._get_rings,
            0x11: self._set_rings,
            0x12: self._get_pause,
            0x13: self._set_pause,
            0x1B: self._strings,
            0x1C: self._blink,
            0x27: self._get_flags,
            0x28: self._set_flags,
            0x37: self._string_sets,
            0x3A: self._get_features,
            0x3B: self._set_features,
        }[command](request)
        assert len(answer) == len(request)
        return answer

    def _blink(self, request: bytes) -> bytes:
        seconds = struct.unpack("II", request)[1]
        self._set([seconds])
        _there(self.light)
        self.light = seconds
        return request

    def _get_rings(self, request: bytes) -> bytes:
        return struct.pack("9I", 0x10, *_there(self.rings))

    def _set_rings(self, request: bytes) -> bytes:
        _, *wanted = struct.unpack("9I", request)
        self._set(wanted)
        rings = _there(self.rings)
        assert all(new <= most for new, most in zip(wanted[4:], rings[:4], strict=True)), "the kernel refuses"
        self.rings = rings[:4] + wanted[4:]
        return request

    def _get_pause(self, request: bytes) -> bytes:
        return struct.pack("4I", 0x12, *_there(self.pause))

    def _set_pause(self, request: bytes) -> bytes:
        _, *wanted = struct.unpack("4I", request)
        self._set(wanted)
        self.pause = wanted
        return request

    def _get_flags(self, request: bytes) -> bytes:
        bits = sum(1 << number for number, on in enumerate(_there(self.flags).values()) if on)
        return struct.pack("II", 0x27, bits)

    def _set_flags(self, request: bytes) -> bytes:
        bits = struct.unpack("II", request)[1]
        self._set([bits])
        self.flags = {name: bool(bits >> number & 1) for number, name in enumerate(self.flags)}
        return request

    def _string_sets(self, request: bytes) -> bytes:
        mask = struct.unpack_from("Q", request, 8)[0]
        names = {1 << 2: self.flags, 1 << 4: self.features}[mask]
        return struct.pack("IIQI", 0x37, 0, mask if names else 0, len(names))

    def _strings(self, request: bytes) -> bytes:
        _, which, count = struct.unpack_from("III", request)
        names = list({2: self.flags, 4: self.features}[which])
        assert count == len(names)
        return request[:12] + b"".join(name.encode().ljust(32, b"\0") for name in names)

    def _get_features(self, request: bytes) -> bytes:
        words = [0, 0, 0, 0] * (-(-len(self.features) // 32))
        for number, (name, on) in enumerate(self.features.items()):
            at, bit = number // 32 * 4, 1 << number % 32
            words[at] |= bit
            words[at + 2] |= bit if on else 0
            words[at + 3] |= bit if name in self.fixed else 0
        return request[:8] + struct.pack(f"{len(words)}I", *words)

    def _set_features(self, request: bytes) -> bytes:
        self._set([])
        count = struct.unpack_from("I", request, 4)[0]
        words = struct.unpack_from(f"{2 * count}I", request, 8)
        for number, name in enumerate(self.features):
            if words[number // 32 * 2] >> number % 32 & 1:
                assert name not in self.fixed
                self.features[name] = bool(words[number // 32 * 2 + 1] >> number % 32 & 1)
        return request

    def _set(self, wanted: list[int]) -> None:
        if refusal := self.refuses(wanted):
            raise OSError(refusal, "refused")
        self.set_calls += 1


def _there(value: T | None) -> T:
    if not value:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")
    return value


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    played = Card()
    monkeypatch.setattr(ethtool, "_ethtool", played)
    return played


def test_a_card_that_can_everything(card: Card) -> None:
    card.rings = [4096, 0, 0, 4096, 256, 0, 0, 512]
    card.pause = [1, 1, 1]
    card.flags = {"legacy-rx": False, "fw-lldp-agent": True, "other": True}
    # more than 32: they are told in blocks of so many
    card.features = {f"tx-{number}": True for number in range(40)}
    card.features |= {"rx-gro": True, "rx-vlan-filter": True, "rx-vlan-stag-filter": True, "rx-lro": True}
    card.fixed = {"rx-lro"}
    assert ethtool.prepare("port1") == (
        [
            "rx-gro off",
            "rx-vlan-filter off",
            "rx-vlan-stag-filter off",
            "rx ring 4096",
            "pause off",
            "LLDP agent off",
        ],
        [],
    )
    assert card.rings == [4096, 0, 0, 4096, 4096, 0, 0, 512], "what it sends from stays as it was"
    assert card.pause == [0, 0, 0]
    assert card.flags == {"legacy-rx": False, "fw-lldp-agent": False, "other": True}
    assert [name for name, on in card.features.items() if not on] == [
        "rx-gro",
        "rx-vlan-filter",
        "rx-vlan-stag-filter",
    ]
    card.set_calls = 0
    assert ethtool.prepare("port1") == ([], [])
    assert card.set_calls == 0, "setting rings or pause again would interrupt the link"


def test_a_card_that_can_nothing(card: Card) -> None:
    assert ethtool.prepare("port1") == ([], [])
    assert card.set_calls == 0


def test_the_agent_of_the_700_series_is_ended_by_its_opposite_flag(card: Card) -> None:
    card.flags = {"disable-fw-lldp": False, "vf-true-promisc-support": False}
    assert ethtool.end_lldp_agent("port1") == ["LLDP agent off"]
    assert card.flags == {"disable-fw-lldp": True, "vf-true-promisc-support": False}
    assert ethtool.end_lldp_agent("port1") == []


def test_mini_and_jumbo_rings_grow_as_well(card: Card) -> None:
    card.rings = [511, 511, 255, 511, 200, 0, 100, 511]
    assert ethtool.use_largest_rings("port1") == ["rx ring 511"]
    assert card.rings == [511, 511, 255, 511, 511, 511, 255, 511]


def test_pause_frames_of_a_driver_that_keeps_negotiating(card: Card) -> None:
    """i40e: whether it negotiates is set with the speed."""
    card.pause = [1, 1, 1]
    card.refuses = lambda wanted: 0 if wanted[0] else errno.EOPNOTSUPP
    assert ethtool.ignore_pause("port1") == ["pause off"]
    assert card.pause == [1, 0, 0]


def test_pause_frames_that_cannot_be_switched_off_are_no_failure(card: Card) -> None:
    card.pause = [0, 1, 1]
    card.refuses = lambda wanted: errno.EOPNOTSUPP
    assert ethtool.ignore_pause("port1") == []


def test_no_memory_for_the_rings_is_told_and_the_rest_is_done(card: Card) -> None:
    card.rings = [4096, 0, 0, 4096, 256, 0, 0, 512]
    card.pause = [0, 1, 1]
    card.refuses = lambda wanted: errno.ENOMEM if len(wanted) == 8 else 0
    assert ethtool.prepare("port1") == (["pause off"], ["use largest rings: refused"])


@pytest.mark.spec("W11")
def test_a_light_blinks_where_there_is_one(card: Card) -> None:
    assert not ethtool.blink("port1", 3)
    card.light = 1
    assert ethtool.blink("port1", 3)
    assert card.light == 3
    card.refuses = lambda _wanted: errno.EBUSY
    with pytest.raises(OSError, match="Errno 16"):
        ethtool.blink("port1", 3)
