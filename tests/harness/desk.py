"""A computer at the management port: a namespace with a tap, from which people reach the device."""

import contextlib
import os
import re
import socket
import struct
import time
from pathlib import Path

from tests.harness.bench_errors import BenchError
from tests.harness.namespaces import Namespace
from tests.harness.ports import TapPort
from tests.harness.waiting import PATIENCE, wait_for

INTERFACE = "eth0"

# busybox calls it for every event; the environment holds what the server gave.
_DHCP_SCRIPT = """#!/bin/sh
[ "$1" = bound ] && env > "$(dirname "$0")/lease"
exit 0
"""


class Desk:
    """Its cable goes into `port`. Addresses are put on by the test."""

    def __init__(self, directory: Path) -> None:
        """Makes namespace and tap; `directory` takes small files."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.namespace = Namespace(f"allegro-{os.getpid()}-desk")
        try:
            self.port = TapPort(self.namespace, INTERFACE)
        except BaseException:
            self.namespace.close()
            raise
        self.namespace.ip("route", "add", "224.0.0.0/4", "dev", INTERFACE)

    def address(self, *addresses: str) -> None:
        """Exactly these IPv4 addresses (with prefix length) from now on."""
        self.namespace.ip("-4", "address", "flush", "dev", INTERFACE)
        for address in addresses:
            self.namespace.ip("address", "add", address, "dev", INTERFACE)
        self.namespace.ip("route", "replace", "224.0.0.0/4", "dev", INTERFACE)

    def ask_dhcp(self, timeout: float = 60.0) -> dict[str, str]:
        """Asks for an address, as udhcpc does; returns what the server gave (see udhcpc's README).

        The address is not put on. Raises BenchError if nobody gives one.
        """
        script, lease = self._directory / "dhcp", self._directory / "lease"
        script.write_text(_DHCP_SCRIPT)
        script.chmod(0o755)
        lease.unlink(missing_ok=True)
        tries = ["-t", str(int(timeout * PATIENCE / 2)), "-T", "2"]
        self.namespace.run(
            ["busybox", "udhcpc", "-f", "-q", "-n", *tries, "-i", INTERFACE, "-s", str(script)], timeout + 10
        )
        if not lease.exists():
            raise BenchError("the DHCP server gave nothing")
        return dict(re.findall(r"^(\w+)=(.*)$", lease.read_text(), re.MULTILINE))

    def reaches(self, address: str) -> bool:
        """Whether a ping is answered within a second."""
        return self.namespace.run(["ping", "-c1", "-W1", address], check=False).returncode == 0

    def wait_reaches(self, address: str, timeout: float = 60.0) -> None:
        """Wait until a ping is answered."""
        wait_for(lambda: self.reaches(address), f"a ping to {address}", timeout, 0.5)

    def curl(self, url: str, *arguments: str, timeout: float = 90.0) -> str:
        """What the device answers to a request, whatever its status. Raises BenchError without an answer."""
        options = ("--silent", "--show-error", "--insecure", "--noproxy", "*")
        longest = ("--max-time", str(timeout * PATIENCE))
        return self.namespace.run(["curl", *options, *longest, *arguments, url], timeout + 10).stdout

    def choose_password(self, address: str, password: str) -> None:
        """First login at the page, with the new password that it asks for. Raises BenchError."""
        jar = str(self._directory / "cookies")
        keep = ("--cookie", jar, "--cookie-jar", jar)
        site = f"https://{address}"
        first = ("--data-urlencode", "name=admin", "--data-urlencode", "password=allegro")
        self.curl(f"{site}/login", *keep, "--header", f"Origin: {site}", *first)
        token = re.search(r'name="csrf" value="([^"]+)"', self.curl(f"{site}/password", *keep))
        if not token:
            raise BenchError("the page did not ask for a new password")
        fields = {"csrf": token[1], "password": password, "again": password}
        typed = [part for name, value in fields.items() for part in ("--data-urlencode", f"{name}={value}")]
        self.curl(f"{site}/password", *keep, "--header", f"Origin: {site}", *typed)

    def scan(self, address: str, *arguments: str, timeout: float = 400.0) -> dict[str, str]:
        """Port (like `443/tcp`) → state, as nmap sees it; long rows of one state are left out."""
        shown = self.namespace.run(["nmap", "-n", "-Pn", *arguments, address], timeout).stdout
        return dict(re.findall(r"^(\d+/\w+)\s+(\S+)", shown, re.MULTILINE))

    def ask_mdns(self, name: str, timeout: float = 30.0) -> str:
        """The IPv4 address of a name, asked by mDNS from a port of our own (RFC 6762, 6.7); "" for none.

        dig cannot do it any more: since BIND 9.18 it takes answers only from where it had asked.
        """
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        question = struct.pack("!6H", 0x1E00, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)

        def opened() -> socket.socket:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
            made.settimeout(1.0)
            return made

        deadline = time.monotonic() + timeout * PATIENCE
        with self.namespace.call(opened) as asking:
            while time.monotonic() < deadline:
                asking.sendto(question, ("224.0.0.251", 5353))
                with contextlib.suppress(TimeoutError):
                    answer = asking.recv(9000)
                    # The question comes back first; then name, type A, class, TTL, length, address.
                    record = rb"\x00\x01[\x00\x80]\x01.{4}\x00\x04(.{4})"
                    found = re.search(record, answer[len(question) :], re.DOTALL)
                    if found:
                        return socket.inet_ntoa(found[1])
        return ""

    def close(self) -> None:
        """Deletes the namespace; the tap belongs to the machine that it was given to, or goes with it."""
        self.port.close()
        self.namespace.close()
