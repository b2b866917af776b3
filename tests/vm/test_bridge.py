"""Ports 1+2 and 3+4 are transparent links: frames pass both ways unchanged, and nothing else comes out.

That nothing comes out from power-on either is shown where a machine is powered on: in test_boot.py.
"""

import time
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Lab, StartLab, Tell
from tests.harness.bench_errors import BenchTimeoutError
from tests.harness.captures import protocol_table
from tests.harness.frame_kinds import KINDS, beyond_a_bridge, from_ports
from tests.harness.frame_kinds import frames as frames_of_kinds
from tests.harness.frames import number_of, series, udp_frame
from tests.harness.ports import FramePort
from tests.harness.qemu import mac_address
from tests.harness.sending import FrameStream
from tests.harness.topology import Topology
from tests.harness.waiting import wait_for

OWN = tuple(bytes.fromhex(mac_address(number).replace(":", "")) for number in (1, 2))
ALL_KINDS = KINDS + from_ports(*OWN) + beyond_a_bridge(*OWN)


@pytest.mark.spec("L1")
def test_frames_pass_both_ways_unchanged_in_order_and_alone(start_lab: StartLab) -> None:
    """In two links, of which neither gets anything of the other's."""
    lab = start_lab(cables=4)
    left, right, *second = lab.ports
    rightwards = [
        *series(500, number=1),
        udp_frame(0, vlans=((0x8100, 7),), series=9),
        udp_frame(1, vlans=((0x88A8, 7), (0x8100, 8)), series=9),
        udp_frame(2, size=1514, vlans=((0x8100, 7),), series=9),
    ]
    leftwards = list(series(500, size=1514, number=2))
    left.send_all(rightwards)
    right.send_all(leftwards)
    assert right.wait_frames(rightwards) == rightwards
    assert left.wait_frames(leftwards) == leftwards
    assert [port.frames() for port in second] == [[], []]

    three, four = second
    for port in lab.ports:
        port.clear()
    frames = list(series(50, number=3))
    three.send_all(frames)
    assert four.wait_frames(frames) == frames
    time.sleep(1)
    assert left.frames() == right.frames() == []


@pytest.mark.spec("L1", "L5", "R1")
def test_a_thousand_frames_of_all_kinds_pass_byte_for_byte(lab: Lab) -> None:
    """Both ways at once, in order, and nothing else comes out; all of it is recorded."""
    left, right = lab.ports
    _is_prepared(lab)
    before = lab.device.get("/ring")["packets"]
    rightwards, leftwards = frames_of_kinds(1000, 1, ALL_KINDS), frames_of_kinds(1000, 2, ALL_KINDS)
    # In portions: large frames in one burst are more than the emulated network card has buffers for.
    for at in range(0, 1000, 20):
        left.send_all(rightwards[at : at + 20])
        right.send_all(leftwards[at : at + 20])
        time.sleep(0.02)
    for port, sent in ((right, rightwards), (left, leftwards)):
        try:
            came = port.wait_frames(sent, 60)
        except BenchTimeoutError as error:
            arrived = {frame for _, frame in port.frames()}
            lost = {_kind(frame): len(frame) for frame in sent if frame not in arrived}
            raise AssertionError(f"{error}: {lost}") from None
        assert came == sent
    lab.device.wait_recorded(before + 2000)
    assert lab.device.get("/ring")["packets"] == before + 2000


def _is_prepared(lab: Lab) -> None:
    """A wire above the bridge, and what the driver of QEMU's card can be told (R12)."""
    for port, partner in (("port1", "port2"), ("port2", "port1")):
        filters = lab.machine.run(f"tc filter show dev {port} ingress").stdout
        assert f"Egress Redirect to device {partner}" in filters
        rings = lab.machine.run(f"ethtool -g {port}").stdout.split("RX:")
        most, present = (int(part.split()[0]) for part in rings[1:])
        assert present == most
        pause = lab.machine.run(f"ethtool -a {port}").stdout
        assert "on" not in pause.split()
        assert "generic-receive-offload: off" in lab.machine.run(f"ethtool -k {port}").stdout


def _kind(frame: bytes) -> str:
    return next((kind.name for kind in ALL_KINDS if frame.startswith(kind.start)), frame[:20].hex())


TURNS = 3
"""How often the pair is switched there and back; tests/host/test_networkd.py does it more often."""


@pytest.mark.spec("L1", "R1")
def test_switching_a_pair_leaves_the_other_one_alone(start_lab: StartLab, tell: Tell, tmp_path: Path) -> None:
    """Between bridge and sink under traffic; recording goes on for both pairs."""
    lab = start_lab(cables=4)
    one, two, three, four = lab.ports
    before = _recorded(lab)
    pauses, closings = [], []
    with FrameStream(one, 1, 50.0) as switched, FrameStream(three, 3, 50.0) as untouched:
        for _ in range(TURNS):
            closings.append(_closed(lab, two))
            pauses.append(_opened(lab, two))
    wait_for(lambda: len(four.frames()) >= untouched.sent, "the last frames of the other pair", 20)
    assert [number_of(frame) for _, frame in four.frames()] == [(3, n) for n in range(untouched.sent)]
    assert one.frames() == three.frames() == []
    due = {"port1": before["port1"] + switched.sent, "port3": before["port3"] + untouched.sent}

    def all_recorded() -> bool:
        now = _recorded(lab)
        return all(now[port] >= packets for port, packets in due.items())

    wait_for(all_recorded, "the last frames to be recorded", 30, 0.2)
    recorded = {port: packets - before[port] for port, packets in _recorded(lab).items()}
    drops = {port["name"]: port["drops"] for port in lab.device.get("/ring")["ports"]}
    tell(
        f"forwarding ends {min(closings):.2f} to {max(closings):.2f} s after the request for a sink, begins"
        f" {min(pauses):.2f} to {max(pauses):.2f} s after the request for a bridge;"
        f" recorded: {recorded['port1']} of {switched.sent} at port1,"
        f" {recorded['port3']} of {untouched.sent} at port3, drops {drops}"
    )
    # The kernel counts what it drops, too: while the host gives the recorder no processor for seconds.
    assert recorded["port3"] == untouched.sent
    assert recorded["port1"] == switched.sent
    capture = lab.device.capture(tmp_path, before_s=600)
    found = Counter(number[0] for packet in capture.packets if (number := number_of(packet.data)))
    assert found[3] == untouched.sent - drops["port3"]
    assert found[1] == switched.sent - drops["port1"]


def _recorded(lab: Lab) -> dict[str, int]:
    """How many packets of each port the recorder has counted."""
    return {port["name"]: port["packets"] for port in lab.device.get("/ring")["ports"]}


def _closed(lab: Lab, out: FramePort) -> float:
    """Makes pair 1 a sink; seconds from the request to the last frame that came out."""
    began = time.time_ns()
    lab.device.set({"links": {"pairs": [{"pair": 1, "mode": "sink"}]}})
    silent_ns = 1_500_000_000
    wait_for(lambda: _last_ns(out) < time.time_ns() - silent_ns, "port 2 to be silent", 30, 0.2)
    return (_last_ns(out) - began) / 1e9


def _opened(lab: Lab, out: FramePort) -> float:
    """Makes pair 1 a bridge; seconds from the request to the first frame that came out."""
    began = time.time_ns()
    lab.device.set({"links": {"pairs": [{"pair": 1, "mode": "bridge"}]}})
    wait_for(lambda: _last_ns(out) > began, "port 2 to forward again", 30, 0.05)
    return (next(when for when, _ in out.frames() if when > began) - began) / 1e9


def _last_ns(port: FramePort) -> int:
    """Host time of the newest frame that came out of a port."""
    frames = port.frames()
    return frames[-1][0] if frames else 0


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.spec("L1", "L3")
def test_the_device_sends_nothing_in_ten_minutes_of_silence(start_lab: StartLab) -> None:
    lab = start_lab(cables=4)
    time.sleep(600)
    assert [port.frames() for port in lab.ports] == [[], [], [], []]


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
    def link(port: str) -> bool | None:
        """None: not known, as on a busy host the recorder may be silent for some seconds."""
        ports = {each["name"]: bool(each["link_up"]) for each in lab.device.get("/ring")["ports"]}
        return ports.get(port)

    lab.machine.set_link("port1", False)
    wait_for(lambda: link("port1") is False, "port1 without link", 15)
    lab.machine.set_link("port1", True)
    wait_for(lambda: link("port1") is True, "port1 with link", 15)
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
