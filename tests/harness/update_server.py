"""An update server: a static directory over HTTPS on the host's loopback, which can be made to misbehave."""

import http.server
import re
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self


class UpdateServer:
    """Serves the files of `folder`; a guest reaches it as 10.0.2.2."""

    def __init__(self, folder: Path, chain: Path) -> None:
        """`chain`: key and certificate of the server in one PEM file."""
        self.folder = folder
        self.break_after: int | None = None  # bytes of each answer's body, then the connection is cut
        self.ranges = True
        self.requests: list[str] = []  # path, and the range asked for
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        # Each connection shakes hands in its own thread: one that never speaks must not block the others.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="update-server", daemon=True)

    @property
    def port(self) -> int:
        """TCP port on the loopback."""
        return self._server.server_port

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

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
