"""An update server: a static directory over HTTPS on the host's loopback, which can be made to misbehave."""

import http.server
import re
import ssl
from pathlib import Path

from tests.harness.http_server import HttpServer


class UpdateServer(HttpServer):
    """Serves the files of `folder`; a guest reaches it as 10.0.2.2."""

    def __init__(self, folder: Path, chain: Path) -> None:
        """`chain`: key and certificate of the server in one PEM file."""
        self.folder = folder
        self.break_after: int | None = None  # bytes of each answer's body, then the connection is cut
        self.ranges = True
        self.requests: list[str] = []  # path, and the range asked for
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        super().__init__(self._answer, context)

    def _answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.requests.append(f"{request.path} {wanted}".strip())
        path = self.folder / request.path.lstrip("/")
        if not path.is_file():
            request.send_error(404)
            return
        size = path.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-", wanted) if self.ranges else None
        start = int(match[1]) if match else 0
        if match and start >= size:
            request.send_error(416)
            return
        request.send_response(206 if match else 200)
        if match:
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        request.send_header("Content-Length", str(size - start))
        request.end_headers()
        left = size - start if self.break_after is None else min(size - start, self.break_after)
        try:
            with path.open("rb") as file:
                file.seek(start)
                while left and (part := file.read(min(left, 1 << 20))):
                    request.wfile.write(part)
                    left -= len(part)
        except OSError:  # the client has gone
            pass
        request.close_connection = self.break_after is not None
