"""Stenographer, which looks packets up in the files of its stenotype: the peer of a search in the ring.

Its server (github.com/google/stenographer, Debian's package) reads these files by an index of addresses,
ports and protocols, and hands the packets to clients with a certificate, as one pcap file. The files are
recorded first, by stenotype alone; then the server is given a program that does nothing in its place, so
that it only reads.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contestants import BUFFER_MIB, PORT, stenotype, stenotype_count
from benchmarks.measuring import GENERATOR, BenchmarkError, end_program, forget_files
from tests.harness.certificates import TestAuthority
from tests.harness.namespaces import Namespace
from tests.harness.waiting import wait_for

_RATE = 60_000
"""Packets per second: what stenotype records without a loss, whatever else the machine does."""

_FILE_MIB = 128
_ETH_P_NONE = 0  # of a socket that only sends
_PCAP_HEADER = 24
_PCAP_PACKET = struct.Struct("<IIII")


class Stenographer:
    """Server over the packets of pcap files, ready until `close`. Raises BenchmarkError, BenchError."""

    def __init__(self, directory: Path, files: Sequence[Path]) -> None:
        self._directory = directory.resolve()  # it keeps links to its folders
        self._files = self._directory / "files"
        self._files.mkdir(parents=True)
        self._log = self._directory / "log"
        self._server: subprocess.Popen[bytes] | None = None
        try:
            self._record(files)
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends it and removes its files."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
        shutil.rmtree(self._directory, ignore_errors=True)

    def search(self, query: str, output: Path) -> float:
        """Writes the packets that a query finds into a file; returns the seconds that it took."""
        forget_files()
        began = time.perf_counter()
        with contextlib.closing(self._asked("POST", "/query", query)) as answer, output.open("wb") as file:
            shutil.copyfileobj(answer, file, 1 << 20)
        return time.perf_counter() - began

    def _asked(self, method: str, path: str, body: str = "") -> http.client.HTTPResponse:
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=self._trust, timeout=300)
        connection.request(method, path, body=body, headers={"Connection": "close"})
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise BenchmarkError(f"stenographer answered {answer.status}: {answer.read(200)!r}")
        return answer

    def _record(self, files: Sequence[Path]) -> None:
        space = Namespace("asteno")
        try:
            space.ip("link", "add", PORT, "type", "veth", "peer", "name", GENERATOR)
            for name in (PORT, GENERATOR):
                space.sysctl(f"net.ipv6.conf.{name}.disable_ipv6", "1")
                space.ip("link", "set", name, "up")
            command = stenotype(self._files, f"--filesize_mb={_FILE_MIB}", f"--blocks={2 * BUFFER_MIB}")
            program = space.spawn(command, self._log)
            time.sleep(1)  # it does not say when it is ready
            sent = space.call(lambda: _send(files))
            time.sleep(3)  # a block is written after a second
            end_program(program)
        finally:
            space.close()
        for path in (self._files / "PKT0").glob(
            ".*"
        ):  # the last one, which it does not name when it is ended
            path.rename(path.with_name(path.name[1:]))
        if (stored := stenotype_count(self._files).packets) != sent:
            raise BenchmarkError(f"stenotype has {stored} of {sent} packets: is the machine too busy?")

    def _start(self) -> None:
        authority = TestAuthority(self._directory / "keys", "ca_cert")
        server, client = authority.issue("server", server=True), authority.issue("client", client=True)
        server.key.rename(server.key.with_name("server_key.pem"))
        server.certificate.rename(server.certificate.with_name("server_cert.pem"))
        self._trust = ssl.create_default_context(cafile=str(authority.certificate))
        self._trust.load_cert_chain(client.chain)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        idle = self._directory / "idle"
        idle.write_text("#!/bin/sh\nexec sleep infinity\n")
        idle.chmod(0o755)
        configuration = self._directory / "config"
        thread = {name: str(self._files / folder) for name, folder in _FOLDERS.items()}
        settings = {
            "Threads": [thread | {"DiskFreePercentage": 1}],
            "StenotypePath": str(idle),
            "Interface": PORT,
            "Host": "127.0.0.1",
            "Port": self._port,
            "CertPath": str(authority.certificate.parent),
        }
        configuration.write_text(json.dumps(settings))
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                ["stenographer", "-syslog=false", f"-config={configuration}"], stdout=log, stderr=log
            )
        wait_for(self._knows_its_files, "stenographer", 30)

    def _knows_its_files(self) -> bool:
        if self._server is not None and self._server.poll() is not None:
            raise BenchmarkError(f"stenographer ended: {self._log.read_text(errors='replace')[-500:]}")
        try:
            with contextlib.closing(self._asked("GET", "/debug/stats")) as answer:
                known = re.search(rb"^current_files\t(\d+)$", answer.read(), re.MULTILINE)
        except OSError:
            return False
        return known is not None and int(known[1]) == len(list((self._files / "PKT0").iterdir()))


_FOLDERS = {"PacketsDirectory": "PKT0", "IndexDirectory": "IDX0"}


def _send(files: Sequence[Path]) -> int:
    """Sends the packets of pcap files; returns how many."""
    count = 0
    began = time.monotonic()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, _ETH_P_NONE) as out:
        out.bind((GENERATOR, _ETH_P_NONE))
        for packet in _frames(files):
            out.send(packet)
            count += 1
            if count % 1000 == 0:
                time.sleep(max(began + count / _RATE - time.monotonic(), 0))
    return count


def _frames(files: Sequence[Path]) -> Iterator[bytes]:
    for path in files:
        data = path.read_bytes()
        at = _PCAP_HEADER
        while at < len(data):
            length = _PCAP_PACKET.unpack_from(data, at)[2]
            at += _PCAP_PACKET.size
            yield data[at : at + length]
            at += length
