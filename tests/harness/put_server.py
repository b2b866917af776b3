"""nginx on the loopback: a web server that takes files by PUT, shows them, and does no more."""

import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.waiting import wait_for

USER, PASSWORD = "probe", "geheim"

_CONFIGURATION = """
daemon off; user root; worker_processes 1; pid {place}/pid; error_log {place}/error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off; client_max_body_size 0;
    client_body_temp_path {place}/client; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};
        auth_basic probe; auth_basic_user_file {place}/users;
        location /in {{ root {place}; dav_methods PUT; create_full_put_path {makes_directories}; }}
    }}
}}
"""


class PutServer:
    """Serves `place`/in by HTTPS to one user."""

    def __init__(self, place: Path, certificate: Path, key: Path, *, makes_directories: bool = False) -> None:
        self.folder = place / "in"
        self.folder.mkdir(parents=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        (place / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        (place / "nginx.conf").write_text(
            _CONFIGURATION.format(
                place=place,
                port=self._port,
                certificate=certificate,
                key=key,
                makes_directories="on" if makes_directories else "off",
            )
        )
        self._place = place

    @property
    def url(self) -> str:
        """Of the folder."""
        return f"https://localhost:{self._port}/in"

    def files(self) -> dict[str, bytes]:
        """Everything in the folder, by its path."""
        there = (each for each in self.folder.rglob("*") if each.is_file())
        return {str(each.relative_to(self.folder)): each.read_bytes() for each in there}

    def __enter__(self) -> Self:
        """Starts to serve."""
        place = self._place
        command: list[str | Path] = [
            "/usr/sbin/nginx",
            "-p",
            place,
            "-e",
            place / "early",
            "-c",
            place / "nginx.conf",
        ]
        self._process = subprocess.Popen(command)
        wait_for(self._answers, "nginx to listen", 20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"nginx ended: {(self._place / 'early').read_text()}")
        try:
            socket.create_connection(("127.0.0.1", self._port), 1).close()
        except OSError:
            return False
        return True
