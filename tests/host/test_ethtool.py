"""What a driver is told, with a real one that can little. Cards that can more: tests/vm and tests/unit."""

import socket
import struct
from collections.abc import Iterator

import pytest

from allegro.network import ethtool
from tests.harness.namespaces import Namespace


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace("allegro-ethtool")
    made.ip("link", "add", "port1", "type", "veth", "peer", "name", "peer1")
    yield made
    made.close()


@pytest.mark.spec("R1")
def test_packets_are_kept_whole(space: Namespace) -> None:
    space.call(lambda: ethtool.keep_packets_whole("port1"))
    # a program for XDP or a switch by hand would bring it back: here the kernel's own interface does
    switch_on = space.call(lambda: _set_gro("port1"))
    assert switch_on
    assert space.call(lambda: ethtool.keep_packets_whole("port1")) == ["rx-gro off"]
    assert space.call(lambda: ethtool.keep_packets_whole("port1")) == []
    with pytest.raises(OSError, match="No such device"):
        space.call(lambda: ethtool.keep_packets_whole("port9"))


def _set_gro(name: str) -> bool:
    """ETHTOOL_SGRO of linux/ethtool.h: one word for the command, one for on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        ethtool._ethtool(control, name, struct.pack("II", 0x2C, 1))
        return ethtool._ethtool(control, name, struct.pack("II", 0x2B, 0)) == struct.pack("II", 0x2B, 1)


@pytest.mark.spec("W11")
def test_a_driver_without_lights_says_so(space: Namespace) -> None:
    assert not space.call(lambda: ethtool.blink("port1", 1))
    with pytest.raises(OSError, match="No such device"):
        space.call(lambda: ethtool.blink("port9", 1))


@pytest.mark.spec("R12")
def test_what_a_driver_does_not_have_is_no_failure(space: Namespace) -> None:
    changed, complaints = space.call(lambda: ethtool.prepare("port1"))
    assert complaints == []
    assert not [change for change in changed if not change.endswith(" off")], "there are no rings"
    assert space.call(lambda: ethtool.prepare("port1")) == ([], [])
    assert len(space.call(lambda: ethtool.prepare("port9"))[1]) == 4, "each says that there is no such device"
