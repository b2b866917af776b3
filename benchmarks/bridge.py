"""Frames per second through a link: with and without recording, and through a bare kernel bridge, in one run.

gen1 - port1 - bridge - port2 - out1, all in one namespace. Counted is what arrives at out1. Allegro's links
have a bridge as well, but what passes is redirected before it.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from allegro.network import redirect
from allegro.network.links import BRIDGE_GROUP_MASK, PORT_GROUP_MASK, Link, LinkPlan
from benchmarks.contestants import recorder_command, recorder_is_ready
from benchmarks.measuring import GENERATOR, BenchmarkError, Load, send
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for

BARE = "bare kernel bridge"
UNFILTERED = "the same without br_netfilter"
"""Where the kernel has it (the device's has not), every bridge asks it about every packet, at a price."""
LINK, RECORDED = "allegro link", "allegro link, recorded"
ALL = (BARE, UNFILTERED, LINK, RECORDED)
SIZES = (64, 512, 1514)
PORTS = ("port1", "port2")
OUT = "out1"
WIRE = LinkPlan((Link("br1", PORTS),), ())

_PACKETS = 200_000
_ROUNDS = 15
_SETTLE_SECONDS = 0.3


@dataclass(frozen=True)
class Passed:
    """One measurement: `rate` is what arrived, in frames per second, `lost` what did not."""

    name: str
    size: int
    rate: float
    lost: int


class BridgeBench:
    """One of ALL, in a namespace with both cables, ready until `close`."""

    def __init__(self, name: str, directory: Path) -> None:
        """Raises BenchmarkError."""
        self.name = name
        self.directory = directory
        self._recorder: subprocess.Popen[bytes] | None = None
        self._space = Namespace(f"abridge{ALL.index(name)}")
        for port, peer in zip(PORTS, (GENERATOR, OUT), strict=True):
            self._space.ip("link", "add", port, "type", "veth", "peer", "name", peer)
        for device in (*PORTS, GENERATOR, OUT):
            self._space.sysctl(f"net.ipv6.conf.{device}.disable_ipv6", "1")
            self._space.ip("link", "set", device, "up")
        try:
            self._bridge()
            if name == RECORDED:
                self._record()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Removes namespace and files."""
        if self._recorder is not None:
            self._recorder.terminate()
            self._recorder.wait(20)
        subprocess.run(["umount", str(self.directory / "run/memory")], capture_output=True)
        self._space.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def measure(self, size: int, packets: int = _PACKETS) -> Passed:
        """Sends through it. Raises BenchmarkError."""
        send(self._space, self.directory, Load(size, packets // 20, None))  # warm
        time.sleep(_SETTLE_SECONDS)
        before = self._arrived()
        seconds = send(self._space, self.directory, Load(size, packets, None))
        time.sleep(_SETTLE_SECONDS)
        arrived = self._arrived() - before
        if self._recorder is not None and self._recorder.poll() is not None:
            raise BenchmarkError("The recorder ended while it was measured.")
        return Passed(self.name, size, arrived / seconds, packets - arrived)

    def _bridge(self) -> None:
        """As `ip link add` makes it, or as allegro.network tells systemd-networkd and the kernel."""
        ip = self._space.ip
        ours = self.name in (LINK, RECORDED)
        if not ours:
            ip("link", "add", "br1", "type", "bridge")
        else:
            options = ["stp_state", "0", "forward_delay", "0", "mcast_snooping", "0", "mcast_querier", "0"]
            ip("link", "add", "br1", "type", "bridge", *options, "group_fwd_mask", str(BRIDGE_GROUP_MASK))
        self._space.sysctl("net.ipv6.conf.br1.disable_ipv6", "1")
        if self.name != BARE:  # links as on the device, whose kernel has no br_netfilter
            for table in ("iptables", "ip6tables", "arptables"):
                self._space.run(["sysctl", "-q", "-e", "-w", f"net.bridge.bridge-nf-call-{table}=0"])
        for port in PORTS:
            ip("link", "set", port, "master", "br1")
            if ours:
                learning = ["learning", "off", "flood", "on", "mcast_flood", "on", "mcast_to_unicast", "off"]
                mask = ["group_fwd_mask", str(PORT_GROUP_MASK)]
                ip("link", "set", port, "type", "bridge_slave", *learning, *mask)
                ip("link", "set", port, "arp", "off")
        ip("link", "set", "br1", "up")
        state = ["cat", *(f"/sys/class/net/{port}/brport/state" for port in PORTS)]
        forwarding = "3"  # BR_STATE_FORWARDING, linux/if_bridge.h; a bare bridge waits 15 s, twice
        wait_for(lambda: self._space.run(state).stdout.split() == [forwarding] * 2, "the bridge", 40)
        if ours:
            complaint = self._space.call(lambda: redirect.carry(WIRE, PORTS))
            if complaint:
                raise BenchmarkError(complaint)

    def _record(self) -> None:
        folder = self.directory / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._recorder = self._space.spawn(recorder_command(folder), self.directory / "log")
        wait_for(lambda: recorder_is_ready(folder, len(PORTS)), "the recorder", 30)

    def _arrived(self) -> int:
        return int(self._space.run(["cat", f"/sys/class/net/{OUT}/statistics/rx_packets"]).stdout)


def compare(directory: Path, *, quick: bool) -> list[Passed]:
    """ALL in turns, each round within seconds: what else the machine does then hits all of them.

    Raises BenchmarkError, BenchError.
    """
    with contextlib.ExitStack() as stack:
        benches = []
        for number, name in enumerate(ALL):
            bench = BridgeBench(name, directory / str(number))
            stack.callback(bench.close)
            benches.append(bench)
        found = []
        for size in SIZES:
            for _ in range(3 if quick else _ROUNDS):
                for bench in benches:
                    one = bench.measure(size)
                    print(f"{size:4d} bytes, {one.name:<29} {one.rate:10,.0f}/s lost {one.lost}", flush=True)
                    found.append(one)
        return found


def text(found: Sequence[Passed]) -> str:
    """The table for the report: medians, of the rates and of each round's part of the bare bridge."""
    lines = [
        "## Through a link",
        "",
        "| frame | through | frames/s (median) | of the bare bridge (median, middle half) | lost |",
        "|--:|---|--:|--:|--:|",
    ]
    for size in dict.fromkeys(one.size for one in found):
        bare = [one.rate for one in found if (one.name, one.size) == (BARE, size)]
        for name in ALL:
            mine = [one for one in found if (one.name, one.size) == (name, size)]
            parts = [one.rate / reference for one, reference in zip(mine, bare, strict=True)]
            low, middle, high = statistics.quantiles(parts, n=4)
            lines.append(
                f"| {size} | {name} | {statistics.median(one.rate for one in mine):,.0f} "
                f"| {middle:.2f} ({low:.2f} to {high:.2f}) | {sum(one.lost for one in mine)} |"
            )
    return "\n".join(lines) + "\n"
