"""A client and a server at the two sides of the device, each in a network namespace, with real programs."""

import contextlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.harness.bench_errors import BenchError
from tests.harness.namespaces import Namespace
from tests.harness.ports import TapPort
from tests.harness.waiting import wait_for

CLIENT_ADDRESS, SERVER_ADDRESS = "192.0.2.1", "192.0.2.2"  # RFC 5737: for documentation
CLIENT_ADDRESS_6, SERVER_ADDRESS_6 = "2001:db8::1", "2001:db8::2"  # RFC 3849
SERVER_NAME = "server.example"  # RFC 2606
_PREFIX = "allegro"


@dataclass(frozen=True)
class Talk:
    """One thing that the client did, and what came of it."""

    what: str
    result: str


class Topology:
    """client - port 1 of the device - port 2 - server. The server offers DNS, HTTP and HTTPS."""

    def __init__(self, directory: Path) -> None:
        """Make both namespaces with a tap each; `directory` takes served files and logs."""
        remove_stale_namespaces()
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._opened = contextlib.ExitStack()
        try:
            self.client, self.client_port = self._side("client", CLIENT_ADDRESS, CLIENT_ADDRESS_6)
            self.server, self.server_port = self._side("server", SERVER_ADDRESS, SERVER_ADDRESS_6)
        except BaseException:
            self._opened.close()
            raise

    def _side(self, name: str, address: str, address_6: str) -> tuple[Namespace, TapPort]:
        namespace = Namespace(f"{_PREFIX}-{os.getpid()}-{name}")
        self._opened.callback(namespace.close)
        port = TapPort(namespace)
        self._opened.callback(port.close)
        namespace.ip("address", "add", f"{address}/24", "dev", port.interface)
        namespace.ip("address", "add", f"{address_6}/64", "dev", port.interface, "nodad")
        return namespace, port

    @property
    def ports(self) -> list[TapPort]:
        """What goes into port 1 and port 2 of the device."""
        return [self.client_port, self.server_port]

    def start_servers(self) -> None:
        """Start dnsmasq, an HTTP server and a TLS server; returns when they listen."""
        site = self.directory / "site"
        site.mkdir(exist_ok=True)
        (site / "index.html").write_text("<!doctype html><title>Allegro</title><p>Hello from the server.\n")
        (site / "photo.bin").write_bytes(os.urandom(200_000))
        certificate, key = self.directory / "certificate.pem", self.directory / "key.pem"
        made = subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
                *("-nodes", "-subj", f"/CN={SERVER_NAME}", "-days", "2"),
                *("-keyout", str(key), "-out", str(certificate)),
            ],
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise BenchError(f"openssl: {made.stderr}")
        log = self.directory / "servers.log"
        self.server.spawn(
            [
                *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv"),
                *("--user=root", "--log-facility=-", "--pid-file"),
                f"--address=/{SERVER_NAME}/{SERVER_ADDRESS}",
            ],
            log,
        )
        self.server.spawn(["python3", "-m", "http.server", "80", "--directory", str(site)], log)
        self.server.spawn(
            [
                *("openssl", "s_server", "-quiet", "-www", "-accept", "443"),
                *("-cert", str(certificate), "-key", str(key)),
            ],
            log,
        )

        def listening() -> bool:
            shown = self.server.run(["ss", "-Hltun"]).stdout
            return all(re.search(rf":{port}\s", shown) for port in (53, 80, 443))

        wait_for(listening, f"the servers (see {log})", 20)

    def wait_connected(self, timeout: float = 30.0) -> None:
        """Wait until a ping goes from the client to the server, that is, the bridge forwards."""
        wait_for(
            lambda: self.client.run(["ping", "-c1", "-W1", SERVER_ADDRESS], check=False).returncode == 0,
            "a ping through the device",
            timeout,
        )

    def talk(self) -> list[Talk]:
        """Let the client use every service once; raises BenchError when one does not work."""
        ping = self.client.run(["ping", "-c3", "-i0.2", "-W2", SERVER_ADDRESS]).stdout
        ping_6 = self.client.run(["ping", "-6", "-c2", "-i0.2", "-W2", SERVER_ADDRESS_6]).stdout
        dns = self.client.run(["dig", "+short", f"@{SERVER_ADDRESS}", SERVER_NAME]).stdout.strip()
        if dns != SERVER_ADDRESS:
            raise BenchError(f"the DNS server answered {dns!r}")
        page = self._curl(f"http://{SERVER_NAME}/")
        photo = self._curl(f"http://{SERVER_NAME}/photo.bin")
        tls = self._curl(f"https://{SERVER_NAME}/")
        return [
            Talk("ping", _summary(ping)),
            Talk("ping (IPv6)", _summary(ping_6)),
            Talk("DNS query", f"{SERVER_NAME} is {dns}"),
            Talk("HTTP", f"page of {page} bytes, file of {photo} bytes"),
            Talk("HTTPS", f"TLS connection, page of {tls} bytes"),
        ]

    def _curl(self, url: str) -> str:
        """Fetch a page as the client does after asking DNS; returns its size in bytes."""
        names = [f"{SERVER_NAME}:{port}:{SERVER_ADDRESS}" for port in (80, 443)]
        resolve = [option for name in names for option in ("--resolve", name)]
        return self.client.run(
            [
                *("curl", "--silent", "--show-error", "--fail", "--insecure", "--noproxy", "*"),
                *("--max-time", "20", *resolve, "--output", "/dev/null", "--write-out", "%{size_download}"),
                url,
            ]
        ).stdout

    def close(self) -> None:
        """End all programs and delete the namespaces."""
        self._opened.close()

    def __enter__(self) -> "Topology":
        """Nothing more to do; `close` follows at the end of the block."""
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _summary(ping: str) -> str:
    match = re.search(r"(\d+) packets transmitted, (\d+) received", ping)
    return f"{match[2]} of {match[1]} answered" if match else ping.strip()


def remove_stale_namespaces() -> None:
    """Delete namespaces that a killed bench left behind: their names carry its process id."""
    listed = subprocess.run(["ip", "-json", "netns", "list"], capture_output=True, text=True).stdout
    for name in re.findall(rf'"({_PREFIX}-\d+-\w+)"', listed):
        if not Path(f"/proc/{name.split('-')[1]}").exists():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
