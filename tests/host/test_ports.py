"""Ports and links on the real kernel, in network namespaces of our own."""

import socket
import sys
import textwrap
import time
from collections.abc import Iterator

import pytest

from allegro.network import kernel
from allegro.network.ports import rename_steps
from tests.harness.namespaces import Namespace


@pytest.fixture
def space() -> Iterator[Namespace]:
    made = Namespace("allegro-ports")
    try:
        yield made
    finally:
        made.close()


def _names(space: Namespace) -> dict[str, str]:
    """MAC address → name of the devices whose address begins with 02:00:00:00:00."""
    lines = space.run(["ip", "-brief", "link"]).stdout.splitlines()
    fields = [line.split() for line in lines]
    return {mac: name.split("@")[0] for name, _, mac, *_ in fields if mac.startswith("02:00:00:00:00:")}


@pytest.mark.spec("L2")
def test_names_are_given_and_swapped_also_of_devices_that_are_up(space: Namespace) -> None:
    macs = [f"02:00:00:00:00:0{n}" for n in range(1, 5)]
    for mac, name in zip(macs, ["eth0", "eth1", "eth2", "port1"], strict=True):
        space.ip("link", "add", name, "address", mac, "type", "veth", "peer", "name", f"peer-{name}")
        space.ip("link", "set", name, "up")
    wanted = {"eth0": "mgmt0", "eth1": "port1", "eth2": "port2", "port1": "port3"}
    assert space.call(lambda: kernel.rename(rename_steps(wanted))) == ""
    assert _names(space) == dict(zip(macs, ["mgmt0", "port1", "port2", "port3"], strict=True))
    swapped = {"port1": "port2", "port2": "port3", "port3": "port1", "mgmt0": "mgmt0"}
    assert space.call(lambda: kernel.rename(rename_steps(swapped))) == ""
    assert _names(space) == dict(zip(macs, ["mgmt0", "port2", "port3", "port1"], strict=True))


@pytest.mark.spec("L2")
def test_a_name_that_is_taken_does_not_keep_others_from_theirs(space: Namespace) -> None:
    space.ip("link", "add", "eth0", "address", "02:00:00:00:00:01", "type", "veth", "peer", "name", "port1")
    space.ip("link", "add", "eth1", "address", "02:00:00:00:00:02", "type", "veth", "peer", "name", "peer")
    complaint = space.call(lambda: kernel.rename([("eth0", "port1"), ("eth1", "port2")]))
    assert "File exists" in complaint
    assert _names(space) == {"02:00:00:00:00:01": "eth0", "02:00:00:00:00:02": "port2"}


@pytest.mark.spec("L1")
def test_links_are_deleted(space: Namespace) -> None:
    space.ip("link", "add", "br1", "type", "bridge")
    assert space.call(lambda: kernel.delete_links(["br1"])) == ""
    assert "br1" not in space.run(["ip", "-brief", "link"]).stdout
    assert "Cannot find device" in space.call(lambda: kernel.delete_links(["br1"]))
    assert kernel.delete_links([]) == ""


IN_THE_NAMESPACE = textwrap.dedent(
    """
    from allegro.network import kernel
    names = ["port1", "port2", "port3", "port9"]
    kernel.switch_off_ipv6([*names, "br1"])
    print(kernel.pass_group_frames(names), kernel.pass_group_frames(names))
    """
)


def _frame(last: int) -> bytes:
    destination = bytes((0x01, 0x80, 0xC2, 0, 0, last))
    return destination + bytes.fromhex("02aaaaaaaaaa 88b5") + b"allegro" + bytes(60)


@pytest.mark.spec("L1", "L3")
def test_a_link_passes_group_frames_and_sends_nothing_of_its_own(space: Namespace) -> None:
    space.ip("link", "add", "br1", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
    for number in (1, 2):
        space.ip("link", "add", f"port{number}", "type", "veth", "peer", "name", f"peer{number}")
        space.sysctl(f"net.ipv6.conf.peer{number}.disable_ipv6", "1")
        space.ip("link", "set", f"port{number}", "master", "br1")
    space.ip("link", "add", "port3", "type", "veth", "peer", "name", "peer3")
    done = space.run([sys.executable, "-c", IN_THE_NAMESPACE])
    assert done.stdout.strip() == "['port1', 'port2'] []"

    def sockets() -> tuple[socket.socket, socket.socket]:
        pair = []
        for name in ("peer1", "peer2"):
            one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
            one.bind((name, 3))
            one.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
            # SOL_PACKET, PACKET_ADD_MEMBERSHIP: promiscuous
            one.setsockopt(
                263, 1, socket.if_nametoindex(name).to_bytes(4, sys.byteorder) + b"\x01\0" + bytes(10)
            )
            one.settimeout(0.2)
            pair.append(one)
        return pair[0], pair[1]

    for name in ("peer1", "peer2"):
        space.ip("link", "set", name, "up")
    left, right = space.call(sockets)
    with left, right:
        for name in ("port1", "port2", "br1"):
            space.ip("link", "set", name, "up")
        time.sleep(2)  # what it would say of its own when it comes up
        for last in range(16):
            left.send(_frame(last))
        arrived = _received(right)
        assert arrived == [_frame(last) for last in range(16) if last != 1]  # 1 = pause
        assert _received(left) == []


def _received(one: socket.socket) -> list[bytes]:
    frames = []
    while True:
        try:
            frames.append(one.recv(2000))
        except TimeoutError:
            return frames


@pytest.mark.spec("L1")
def test_what_a_card_can_is_asked_of_the_kernel(space: Namespace) -> None:
    space.ip("link", "add", "port1", "type", "veth", "peer", "name", "peer1")
    assert space.call(lambda: kernel.largest_mtu(["port1", "port9"])) == {"port1": 65535}
    assert kernel.largest_mtu([]) == {}
