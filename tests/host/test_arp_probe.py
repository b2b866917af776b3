"""Whether an address is free, asked with the real arping in network namespaces of our own."""

import time
from collections.abc import Iterator

import pytest

from allegro.errors import Unavailable
from allegro.network.temporary_address import arp_announce, arp_probe
from tests.harness.namespaces import Namespace

pytestmark = pytest.mark.spec("N3")


@pytest.fixture
def cable() -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces, joined by mgmt0 of the first and eth0 of the second, which has 192.168.77.1."""
    device, other = Namespace("allegro-arp-1"), Namespace("allegro-arp-2")
    try:
        device.ip("link", "add", "mgmt0", "type", "veth", "peer", "name", "eth0", "netns", other.name)
        device.ip("link", "set", "mgmt0", "up")
        other.ip("link", "set", "eth0", "up")
        other.ip("address", "add", "192.168.77.1/24", "dev", "eth0")
        yield device, other
    finally:
        device.close()
        other.close()


def test_who_holds_an_address_is_found(cable: tuple[Namespace, Namespace]) -> None:
    device, _ = cable
    assert device.call(lambda: arp_probe("mgmt0", "192.168.77.1")) == "taken"
    began = time.monotonic()
    assert device.call(lambda: arp_probe("mgmt0", "192.168.77.2")) == "free"
    assert time.monotonic() - began > 4, "others are given the time that RFC 5227 asks for"
    with pytest.raises(Unavailable, match="cannot be asked who holds"):
        device.call(lambda: arp_probe("mgmt9", "192.168.77.2"))


def test_others_learn_of_the_address(cable: tuple[Namespace, Namespace]) -> None:
    device, other = cable
    other.sysctl("net.ipv4.conf.eth0.arp_accept", "1")
    device.ip("address", "add", "192.168.77.2/24", "dev", "mgmt0")
    device.call(lambda: arp_announce("mgmt0", "192.168.77.2"))
    assert "192.168.77.2" in other.run(["ip", "neighbour", "show", "dev", "eth0"]).stdout


def test_an_address_that_never_appears_is_told(
    cable: tuple[Namespace, Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allegro.network.temporary_address._APPEARS_WITHIN_S", 1.0)
    with pytest.raises(Unavailable, match=r"192\.168\.77\.3 does not work"):
        cable[0].call(lambda: arp_announce("mgmt0", "192.168.77.3"))
