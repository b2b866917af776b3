"""Runs in namespaces of its own (network, mounts, processes), as their first process: see test_networkd.py.

Arguments: a folder with one folder of files for systemd-networkd per state, where the answer goes (JSON), and
whether links are wires as on the device ("wires"), or the bridges have to do it alone ("bridges").
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from allegro.network import redirect
from allegro.network.links import Link, LinkPlan

FILES = Path("/run/systemd/network")
TYPE = b"\x88\xb5"  # IEEE 802.1: for experiments
TURNS = 6
PAIRS = (Link("br1", ("port1", "port2")), Link("br2", ("port3", "port4")))


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def set_up() -> None:
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    run("mount", "-t", "sysfs", "-o", "ro", "sysfs", "/sys")  # networkd then knows that there is no udev
    for folder in (
        "dbus",
        "systemd/network",
        "systemd/netif/links",
        "systemd/netif/leases",
        "systemd/netif/lldp",
    ):
        Path("/run", folder).mkdir(parents=True)
    for owned in (FILES, *Path("/run/systemd/netif").iterdir(), Path("/run/systemd/netif")):
        shutil.chown(owned, "systemd-network", "systemd-network")
    run("ip", "link", "set", "lo", "up")
    ends = [(f"port{number}", f"peer{number}") for number in range(1, 5)]
    for device, peer in (*ends, ("mgmt0", "desk")):
        run("ip", "link", "add", device, "type", "veth", "peer", "name", peer)
        if device != "mgmt0":
            for name in (device, peer):
                Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6").write_text("1")
        run("ip", "link", "set", peer, "up")
    run("dbus-daemon", "--system", "--fork")


def put(state: Path) -> None:
    """The files of a state, of which only those that differ are written; before, the redirects it wants."""
    if sys.argv[3] == "wires":
        links = tuple(link for link in PAIRS if (state / f"10-allegro-{link.bridge}.netdev").exists())
        complaint = redirect.carry(LinkPlan(links, ()), [port for link in PAIRS for port in link.ports])
        if complaint:
            raise SystemExit(complaint)
    for old in FILES.iterdir():
        if not (state / old.name).exists():
            old.unlink()
    for new in state.iterdir():
        target = FILES / new.name
        if not target.exists() or target.read_bytes() != new.read_bytes():
            shutil.copy(new, target)
            target.chmod(0o644)


class Peer(threading.Thread):
    """The far end of a cable: what comes out, and on request a steady stream of numbered frames in."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        self.socket.bind((name, 3))
        self.socket.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        # SOL_PACKET, PACKET_ADD_MEMBERSHIP: promiscuous
        member = socket.if_nametoindex(name).to_bytes(4, sys.byteorder) + b"\x01\0" + bytes(10)
        self.socket.setsockopt(263, 1, member)
        self.numbers: list[int] = []
        self.last = 0.0
        self.others = 0
        self.sent = 0
        self.sending = False
        self.start()

    def run(self) -> None:
        while True:
            frame = self.socket.recv(65536)
            if frame[12:14] == TYPE:
                self.numbers.append(int.from_bytes(frame[14:18], "big"))
                self.last = time.monotonic()
            else:
                self.others += 1

    def stream(self) -> None:
        self.sending = True
        while self.sending:
            self.socket.send(
                bytes.fromhex("02a11e00000a02a11e000009") + TYPE + self.sent.to_bytes(4, "big") + bytes(60)
            )
            self.sent += 1
            time.sleep(0.002)


def wait(what: str, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within 20 s: {what}")
        time.sleep(0.005)


def opened(states: Path, out: Peer) -> float:
    """Makes both pairs links; seconds from the request to the first frame that comes out."""
    began = time.monotonic()
    put(states / "bridge")
    run("networkctl", "reload")
    wait("port 2 to forward", lambda: out.last > began)
    return out.last - began


def main() -> None:
    states, answer = Path(sys.argv[1]), Path(sys.argv[2])
    set_up()
    put(states / "bridge")
    daemon = subprocess.Popen(["/usr/lib/systemd/systemd-networkd"])
    one, two, three, four = (Peer(f"peer{number}") for number in range(1, 5))
    for peer in (one, three):
        threading.Thread(target=peer.stream, daemon=True).start()
    wait("both links to forward", lambda: two.numbers and four.numbers)
    first = four.numbers[0]
    closings, openings = [], []
    for _ in range(TURNS):
        began = time.monotonic()
        put(states / "sink")
        run("networkctl", "reload")
        run("ip", "link", "delete", "br1")
        wait("port 2 to be silent", lambda: time.monotonic() - two.last > 0.5)
        closings.append(two.last - began)
        openings.append(opened(states, two))
    one.sending = three.sending = False
    time.sleep(1)
    put(states / "server")
    run("networkctl", "reload")
    script = answer.with_suffix(".sh")
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && echo "$ip $serverid"\nexit 0\n')
    script.chmod(0o755)
    lease = run("busybox", "udhcpc", "-f", "-q", "-n", "-t", "15", "-T", "1", "-i", "desk", "-s", str(script))
    answer.write_text(
        json.dumps(
            {
                "closings": closings,
                "openings": openings,
                "others": [peer.others for peer in (one, two, three, four)],
                "back": [len(peer.numbers) for peer in (one, three)],
                "second pair": four.numbers == list(range(first, three.sent)),
                "mtu": Path("/sys/class/net/port3/mtu").read_text().strip(),
                "lease": lease.split(),
            }
        )
    )
    daemon.terminate()


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    main()
