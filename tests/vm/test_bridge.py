"""Ports 1+2 and 3+4 are transparent links: frames pass both ways unchanged, and nothing else comes out."""

import time
from pathlib import Path

import pytest

from tests.conftest import Lab, StartLab
from tests.harness.captures import protocol_table
from tests.harness.frames import series, udp_frame
from tests.harness.qemu import Configuration, mac_address
from tests.harness.topology import Topology
from tests.harness.waiting import wait_for

SPANNING_TREE = bytes.fromhex("0180c2000000 02a11e000009 0026 424203 000002023c".replace(" ", "")).ljust(
    60, b"\0"
)
LLDP = bytes.fromhex(
    "0180c200000e 02a11e000009 88cc 020704 02a11e000009 040401 0601 0078 0000".replace(" ", "")
)
LACP = bytes.fromhex("0180c2000002 02a11e000009 8809 0101".replace(" ", ""))
EAPOL = bytes.fromhex("0180c2000003 02a11e000009 888e 01010000".replace(" ", ""))
BROADCAST = bytes.fromhex("ffffffffffff 02a11e000009 88b5".replace(" ", "")).ljust(60, b"\x11")
MULTICAST = bytes.fromhex("01005e7f0001 02a11e000009 88b5".replace(" ", "")).ljust(60, b"\x22")


@pytest.mark.spec("L1")
def test_frames_pass_both_ways_unchanged_in_order_and_alone(lab: Lab) -> None:
    left, right = lab.ports
    rightwards = [
        *series(500, number=1),
        udp_frame(0, vlans=((0x8100, 7),), series=9),
        udp_frame(1, vlans=((0x88A8, 7), (0x8100, 8)), series=9),
        udp_frame(2, size=1514, vlans=((0x8100, 7),), series=9),
        BROADCAST,
        MULTICAST,
    ]
    leftwards = list(series(500, size=1514, number=2))
    left.send_all(rightwards)
    right.send_all(leftwards)
    assert right.wait_frames(rightwards) == rightwards
    assert left.wait_frames(leftwards) == leftwards


@pytest.mark.spec("L1")
def test_link_protocols_pass_through(lab: Lab) -> None:
    frames = [frame.ljust(60, b"\0") for frame in (SPANNING_TREE, LACP, EAPOL, LLDP)]
    left, right = lab.ports
    left.send_all(frames)
    assert right.wait_frames(frames) == frames


@pytest.mark.spec("L1")
def test_three_and_four_are_a_link_of_their_own(start_lab: StartLab) -> None:
    lab = start_lab(cables=4)
    one, two, three, four = lab.ports
    frames = list(series(50, number=3))
    three.send_all(frames)
    assert four.wait_frames(frames) == frames
    time.sleep(1)
    assert one.frames() == two.frames() == []


@pytest.mark.spec("L1", "L3")
def test_the_device_sends_nothing_of_its_own_from_power_on(start_lab: StartLab) -> None:
    lab = start_lab(boot=True, configuration=Configuration(ports=2))
    time.sleep(15)  # duplicate address detection, router solicitations and the like would have come
    lab.machine.set_link("port1", False)
    time.sleep(3)
    lab.machine.set_link("port1", True)
    time.sleep(5)
    assert [port.frames() for port in lab.ports] == [[], []]


@pytest.mark.spec("L3")
def test_measuring_ports_do_not_answer(lab: Lab) -> None:
    address = lab.machine.run("ip -4 -o address show dev mgmt0").stdout.split()[3].partition("/")[0]
    target = bytes(int(part) for part in address.split("."))
    sender = bytes.fromhex("02a11e000009")
    question = (
        (b"\xff" * 6 + sender + bytes.fromhex("0806 0001 0800 06 04 0001".replace(" ", "")))
        + (sender + bytes([10, 0, 2, 99]) + bytes(6) + target)
    ).ljust(60, b"\0")
    left, right = lab.ports
    left.send(question)
    assert right.wait_frames([question]) == [question]
    time.sleep(2)
    assert left.frames() == []
    own = bytes.fromhex(mac_address(1).replace(":", ""))
    assert not [frame for _, frame in right.frames() if frame[6:12] == own]


@pytest.mark.spec("L1", "R5")
def test_a_pulled_cable_is_seen_and_the_link_comes_back(lab: Lab) -> None:
    def link(port: str) -> bool:
        return next(bool(p["link_up"]) for p in lab.device.get("/ring")["ports"] if p["name"] == port)

    lab.machine.set_link("port1", False)
    wait_for(lambda: not link("port1"), "port1 without link", 15)
    lab.machine.set_link("port1", True)
    wait_for(lambda: link("port1"), "port1 with link", 15)
    frames = list(series(20, number=5))
    wait_for(lambda: _passes(lab, udp_frame(0, series=6)), "the bridge forwards again", 40)
    lab.ports[0].send_all(frames)
    lab.ports[1].wait_frames(frames)


def _passes(lab: Lab, frame: bytes) -> bool:
    lab.ports[0].send(frame)
    time.sleep(0.2)
    return any(seen == frame for _, seen in lab.ports[1].frames())


@pytest.mark.spec("L1", "R1", "T5")
def test_real_programs_talk_through_it_and_are_in_the_capture(start_lab: StartLab, tmp_path: Path) -> None:
    with Topology(tmp_path / "network") as topology:
        topology.start_servers()
        lab = start_lab(ports=list(topology.ports))
        topology.wait_connected()
        topology.talk()
        job = lab.device.wait_job(lab.device.trigger(before_s=60)["id"])
        lab.device.fetch_checked(job, tmp_path)
        seen = {line.protocol for line in protocol_table(tmp_path / job["file"])}
    assert {"ARP", "ICMP", "ICMPv6", "DNS", "TCP"} <= seen
    assert any(name.startswith("HTTP") for name in seen)
    assert any(name.startswith("TLS") for name in seen)
