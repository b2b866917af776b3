"""Links as wires on the real kernel: taps as the measuring ports, with the bridge of a link underneath."""

import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.capture.ring.reader import RingReader
from allegro.network import ethtool, kernel, redirect
from allegro.network.links import BRIDGE_GROUP_MASK, LARGEST_MTU, Link, LinkPlan
from tests.harness.frame_kinds import KINDS, beyond_a_bridge, frames, from_ports
from tests.harness.frames import number_of, series
from tests.harness.namespaces import Namespace
from tests.harness.ports import TapPort
from tests.harness.waiting import wait_for
from tests.host.recording import Recording

pytestmark = pytest.mark.spec("L1", "L5")

PORTS = ("port1", "port2")
ADDRESSES = ("02:a1:1e:00:01:01", "02:a1:1e:00:01:02")
OWN = tuple(bytes.fromhex(address.replace(":", "")) for address in ADDRESSES)
ALL_KINDS = KINDS + from_ports(*OWN) + beyond_a_bridge(*OWN)
WIRE = LinkPlan((Link("br1", PORTS),), ())
SINK = LinkPlan((), PORTS)


class Bench:
    """A link as systemd-networkd makes it of our files, between two taps: what is written to one came in."""

    def __init__(self, space: Namespace) -> None:
        self.space = space
        options = ["mcast_snooping", "0", "forward_delay", "0"]
        space.ip("link", "add", "br1", "mtu", str(LARGEST_MTU), "type", "bridge", *options)
        space.sysctl("net.ipv6.conf.br1.disable_ipv6", "1")
        for table in (
            "iptables",
            "ip6tables",
            "arptables",
        ):  # where the kernel has br_netfilter: ours has not
            space.run(["sysctl", "--quiet", "--ignore", "--write", f"net.bridge.bridge-nf-call-{table}=0"])
        space.sysctl("net.ipv6.conf.default.disable_ipv6", "1")
        self.taps = {name: self._plug(name, address) for name, address in zip(PORTS, ADDRESSES, strict=True)}
        space.ip("link", "set", "br1", "type", "bridge", "group_fwd_mask", str(BRIDGE_GROUP_MASK))
        space.ip("link", "set", "br1", "up")
        wait_for(self._forwards, "the bridge", 10)

    def _forwards(self) -> bool:
        state = ["cat", *(f"/sys/class/net/{name}/brport/state" for name in PORTS)]
        return self.space.run(state).stdout.split() == ["3"] * 2  # BR_STATE_FORWARDING, linux/if_bridge.h

    def _plug(self, name: str, address: str) -> TapPort:
        tap = TapPort(self.space, name)
        os.set_blocking(tap.descriptors[0], False)
        self.space.ip("link", "set", name, "address", address, "mtu", str(LARGEST_MTU), "arp", "off")
        self.space.ip("link", "set", name, "txqueuelen", "4096", "master", "br1")
        self.space.ip("link", "set", name, "type", "bridge_slave", "learning", "off")
        self.space.run(["sh", "-c", f"echo 0xfffd > /sys/class/net/{name}/brport/group_fwd_mask"])
        return tap

    def replug(self, name: str) -> None:
        self.taps[name].close()
        wait_for(lambda: name not in self.space.run(["ip", "-brief", "link"]).stdout, "no port", 10)
        self.taps[name] = self._plug(name, ADDRESSES[PORTS.index(name)])

    def carry(self, plan: LinkPlan) -> str:
        return self.space.call(lambda: redirect.carry(plan, PORTS))

    def filters(self, name: str) -> str:
        return self.space.run(["tc", "filter", "show", "dev", name, "ingress"]).stdout

    def send(self, name: str, *sent: bytes) -> None:
        for frame in sent:
            os.write(self.taps[name].descriptors[0], frame)

    def arrived(self, name: str) -> list[bytes]:
        """What has come out so far: a tap hands a frame on before `write` returns."""
        found = []
        while True:
            try:
                found.append(os.read(self.taps[name].descriptors[0], 65536))
            except BlockingIOError:
                return found

    def passed(self, sent: list[bytes], into: str, out: str) -> list[bytes]:
        """In portions, as a port's queue is finite."""
        found = []
        for at in range(0, len(sent), 100):
            self.send(into, *sent[at : at + 100])
            found += self.arrived(out)
        return found

    def close(self) -> None:
        for tap in self.taps.values():
            tap.close()
        self.space.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(Namespace("allegro-wire"))
    yield made
    made.close()


def test_frames_of_all_kinds_pass_both_ways_unchanged(bench: Bench) -> None:
    assert bench.carry(WIRE) == ""
    for seed, (into, out) in enumerate((PORTS, PORTS[::-1])):
        sent = frames(1000, seed, ALL_KINDS)
        assert bench.passed(sent, into, out) == sent
        assert bench.arrived(into) == [], "it came back"


def test_without_redirect_the_bridge_passes_what_it_can(bench: Bench) -> None:
    sent = frames(1000, 1, KINDS + from_ports(*OWN))
    assert bench.passed(sent, *PORTS) == sent
    kept = frames(100, 2, beyond_a_bridge(*OWN))
    assert bench.passed(kept, *PORTS) == []


@pytest.mark.spec("R1")
def test_the_recorder_sees_each_frame_once_at_the_port_where_it_came_in(bench: Bench, tmp_path: Path) -> None:
    assert bench.carry(WIRE) == ""
    recording = Recording(bench.space, tmp_path)
    recording.start_with_ports(*PORTS)
    for seed, (into, out, count) in enumerate(((*PORTS, 1000), (*PORTS[::-1], 700))):
        sent = frames(count, seed, ALL_KINDS)
        assert bench.passed(sent, into, out) == sent
    recording.wait_until_complete()
    recording.stop()
    with RingReader(recording.ring) as reader:
        records = reader.records(0, 1 << 62)
    found = {port: sum(ref.packets for ref in records if ref.port_name == port) for port in PORTS}
    assert found == {"port1": 1000, "port2": 700}


class Stream:
    """Numbered frames into port 1 from a thread, and what comes out of port 2."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._stop = threading.Event()
        self.sent = 0
        self.numbers: list[int] = []
        self._threads = [threading.Thread(target=part) for part in (self._send, self._collect)]

    def __enter__(self) -> "Stream":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._take()

    def more(self) -> None:
        """Waits until more have been sent."""
        least = self.sent + 20
        wait_for(lambda: self.sent > least, "more frames", 10)

    def _send(self) -> None:
        for frame in series(1_000_000):
            if self._stop.wait(0.0002):
                return
            self._bench.send("port1", frame)
            self.sent += 1

    def _collect(self) -> None:
        while not self._stop.is_set():
            select.select([self._bench.taps["port2"].descriptors[0]], [], [], 0.1)
            self._take()

    def _take(self) -> None:
        self.numbers += [found[1] for frame in self._bench.arrived("port2") if (found := number_of(frame))]


def test_no_frame_is_lost_or_overtaken_while_a_filter_comes_and_goes(bench: Bench) -> None:
    assert bench.carry(WIRE) == ""
    with Stream(bench) as stream:
        for _ in range(20):
            for name in PORTS:
                bench.space.run(["tc", "filter", "delete", "dev", name, "ingress", "pref", "1"])
            stream.more()
            assert bench.carry(WIRE) == ""
            stream.more()
    assert stream.numbers == list(range(stream.sent))


def test_what_is_as_wanted_is_left_alone(bench: Bench) -> None:
    assert bench.carry(WIRE) == ""
    before = [_counted(bench, name) for name in PORTS]
    bench.send("port1", *series(50))
    assert bench.carry(WIRE) == ""
    assert [_counted(bench, name) for name in PORTS] == [before[0] + 50, before[1]]


def _counted(bench: Bench, name: str) -> int:
    """Packets of the filter's action so far: 0 again if it was made anew."""
    shown = bench.space.run(["tc", "-statistics", "filter", "show", "dev", name, "ingress"]).stdout
    return int(shown.split(" bytes ")[1].split()[0])


def test_a_sink_has_no_redirect(bench: Bench) -> None:
    assert bench.carry(WIRE) == ""
    bench.space.ip("link", "delete", "br1")
    assert bench.carry(SINK) == ""
    bench.send("port1", *series(10))
    assert bench.arrived("port2") == []
    assert [bench.filters(name) for name in PORTS] == ["", ""]


def test_a_port_that_was_unplugged_is_wired_again(bench: Bench) -> None:
    assert bench.carry(WIRE) == ""
    bench.replug("port2")
    assert bench.carry(WIRE) == ""
    for into, out in (PORTS, PORTS[::-1]):
        sent = list(series(20))
        assert bench.passed(sent, into, out) == sent


def test_a_cable_that_was_pulled_passes_frames_when_it_is_back(bench: Bench) -> None:
    assert bench.carry(WIRE) == ""
    bench.space.ip("link", "set", "port2", "carrier", "off")
    bench.send("port1", *series(10))
    bench.space.ip("link", "set", "port2", "carrier", "on")
    wait_for(lambda: _passes(bench), "port 2 to pass frames again", 10)
    sent = list(series(20, number=7))
    assert bench.passed(sent, *PORTS) == sent
    assert bench.passed(sent, *PORTS[::-1]) == sent


def _passes(bench: Bench) -> bool:
    bench.send("port1", next(series(1)))
    return bool(bench.arrived("port2"))


def test_a_port_that_got_another_name_is_wired_to_its_new_partner(bench: Bench) -> None:
    """Filters move with the device: what was port 2 is for management now, and must get nothing."""
    assert bench.carry(WIRE) == ""
    swapped = [("port2", "spare"), ("port1", "port2"), ("spare", "mgmt0")]
    assert bench.space.call(lambda: kernel.rename(swapped)) == ""
    for name in ("port2", "mgmt0"):
        bench.space.ip("link", "set", name, "up")
    plan = LinkPlan((), ("port2",))
    assert bench.space.call(lambda: redirect.carry(plan, ["port2", "mgmt0"])) == ""
    assert [bench.filters(name) for name in ("port2", "mgmt0")] == ["", ""]


def test_a_missing_device_keeps_no_other_link_from_being_a_wire(bench: Bench) -> None:
    plan = LinkPlan((*WIRE.links, Link("br2", ("port3", "port4"))), ())
    complaint = bench.carry(plan)
    assert "port3" in complaint
    sent = frames(100, 1, beyond_a_bridge(*OWN))
    assert bench.passed(sent, *PORTS) == sent


@pytest.fixture
def desks() -> Iterator[tuple[Namespace, Namespace, Namespace]]:
    """The device, and a computer at each of its two ports."""
    device, one, two = (Namespace(f"allegro-{name}") for name in ("device", "one", "two"))
    for number, computer in enumerate((one, two), 1):
        peer = ["peer", "name", "eth0", "netns", computer.name]
        device.ip("link", "add", f"port{number}", "type", "veth", *peer)
        device.sysctl(f"net.ipv6.conf.port{number}.disable_ipv6", "1")
        device.ip("link", "set", f"port{number}", "up")
        computer.ip("address", "add", f"192.0.2.{number}/24", "dev", "eth0")
        computer.ip("link", "set", "eth0", "up")
        assert device.call(lambda name=f"port{number}": ethtool.prepare(name)[1]) == []  # type: ignore[misc]
    yield device, one, two
    for space in (device, one, two):
        space.close()


def test_programs_with_all_offloads_on_get_what_was_sent(
    desks: tuple[Namespace, Namespace, Namespace],
) -> None:
    """Segments larger than the wire, checksums left to the card: as the host of virtual machines has them."""
    device, one, two = desks

    def send(sender: socket.socket) -> None:
        sender.sendall(content)
        sender.shutdown(socket.SHUT_WR)

    assert device.call(lambda: redirect.carry(WIRE, PORTS)) == ""
    content = os.urandom(8 << 20)
    with two.call(lambda: socket.create_server(("192.0.2.2", 0))) as listener:
        listener.settimeout(20)
        with one.call(lambda: socket.create_connection(listener.getsockname(), 20)) as sender:
            receiver, _ = listener.accept()
            threading.Thread(target=send, args=(sender,)).start()
            with receiver, receiver.makefile("rb") as stream:
                assert stream.read() == content
