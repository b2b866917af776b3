"""Frames per second through a link: with and without recording, and through a bare kernel bridge, in one run.

gen1 - port1 - bridge - port2 - out1, all in one namespace. Counted is what arrives at out1.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from allegro.network.links import BRIDGE_GROUP_MASK, PORT_GROUP_MASK
from benchmarks.contestants import recorder_command, recorder_is_ready
from benchmarks.measuring import GENERATOR, BenchmarkError, Load, send
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for

BARE, LINK, RECORDED = "bare kernel bridge", "allegro link", "allegro link, recorded"
SIZES = (64, 512, 1514)
PORTS = ("port1", "port2")
OUT = "out1"

_PACKETS = 600_000
_SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Passed:
    """One measurement: `rate` is what arrived, in frames per second, `lost` what did not."""

    name: str
    size: int
    rate: float
    lost: int


class BridgeBench:
    """The namespace with both cables; the bridge is made anew for each measurement."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._space = Namespace("abridge")
        for port, peer in zip(PORTS, (GENERATOR, OUT), strict=True):
            self._space.ip("link", "add", port, "type", "veth", "peer", "name", peer)
        for name in (*PORTS, GENERATOR, OUT):
            self._space.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "1")
            self._space.ip("link", "set", name, "up")

    def close(self) -> None:
        """Removes namespace and files."""
        self._space.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def measure(self, name: str, size: int, packets: int = _PACKETS) -> Passed:
        """Sends through one of the three. Raises BenchmarkError."""
        self._bridge(bare=name == BARE)
        try:
            with self._recorder() if name == RECORDED else _nothing():
                send(self._space, self.directory, Load(size, packets // 20, None))  # warm
                time.sleep(_SETTLE_SECONDS)
                before = self._arrived()
                seconds = send(self._space, self.directory, Load(size, packets, None))
                time.sleep(_SETTLE_SECONDS)
                arrived = self._arrived() - before
        finally:
            self._space.ip("link", "delete", "br1")
        return Passed(name, size, arrived / seconds, packets - arrived)

    def _bridge(self, *, bare: bool) -> None:
        """As `ip link add` makes it, or as allegro.network.links tells systemd-networkd."""
        ip = self._space.ip
        if bare:
            ip("link", "add", "br1", "type", "bridge")
        else:
            options = ["stp_state", "0", "forward_delay", "0", "mcast_snooping", "0", "mcast_querier", "0"]
            ip("link", "add", "br1", "type", "bridge", *options, "group_fwd_mask", str(BRIDGE_GROUP_MASK))
        self._space.sysctl("net.ipv6.conf.br1.disable_ipv6", "1")
        for port in PORTS:
            ip("link", "set", port, "master", "br1")
            if not bare:
                learning = ["learning", "off", "flood", "on", "mcast_flood", "on", "mcast_to_unicast", "off"]
                mask = ["group_fwd_mask", str(PORT_GROUP_MASK)]
                ip("link", "set", port, "type", "bridge_slave", *learning, *mask)
                ip("link", "set", port, "arp", "off")
        ip("link", "set", "br1", "up")
        state = ["cat", *(f"/sys/class/net/{port}/brport/state" for port in PORTS)]
        forwarding = "3"  # BR_STATE_FORWARDING, linux/if_bridge.h; a bare bridge waits 15 s, twice
        wait_for(lambda: self._space.run(state).stdout.split() == [forwarding] * 2, "the bridge", 40)

    @contextmanager
    def _recorder(self) -> Iterator[None]:
        folder = self.directory / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        program: subprocess.Popen[bytes] | None = None
        try:
            program = self._space.spawn(recorder_command(folder), self.directory / "log")
            wait_for(lambda: recorder_is_ready(folder, len(PORTS)), "the recorder", 30)
            time.sleep(_SETTLE_SECONDS)
            yield
            if program.poll() is not None:
                raise BenchmarkError("The recorder ended while it was measured.")
        finally:
            if program is not None:
                program.terminate()
                program.wait(20)
            subprocess.run(["umount", str(folder / "memory")], capture_output=True)
            shutil.rmtree(folder, ignore_errors=True)

    def _arrived(self) -> int:
        return int(self._space.run(["cat", f"/sys/class/net/{OUT}/statistics/rx_packets"]).stdout)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def compare(directory: Path, *, quick: bool) -> list[Passed]:
    """All three, one after the other, three times (once if `quick`). Raises BenchmarkError, BenchError."""
    bench = BridgeBench(directory)
    try:
        found = []
        for _ in range(1 if quick else 3):
            for size in SIZES:
                for name in (BARE, LINK, RECORDED):
                    one = bench.measure(name, size)
                    print(f"{size:4d} bytes, {name:<23} {one.rate:10,.0f}/s lost {one.lost}", flush=True)
                    found.append(one)
        return found
    finally:
        bench.close()


def text(found: Sequence[Passed]) -> str:
    """The table for the report: medians, and each as a part of the bare bridge."""
    lines = [
        "## Through a link",
        "",
        "| frame | through | frames/s (median) | of the bare bridge | lost |",
        "|---|---|---|---|---|",
    ]
    for size in dict.fromkeys(one.size for one in found):
        rates = {
            name: statistics.median(one.rate for one in found if (one.name, one.size) == (name, size))
            for name in (BARE, LINK, RECORDED)
        }
        for name, rate in rates.items():
            lost = sum(one.lost for one in found if (one.name, one.size) == (name, size))
            lines.append(f"| {size} | {name} | {rate:,.0f} | {rate / rates[BARE]:.2f} | {lost} |")
    return "\n".join(lines) + "\n"
