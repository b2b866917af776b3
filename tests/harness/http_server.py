"""A web server of this process on the loopback, which runs within a `with`."""

import http.server
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Answering = Callable[[http.server.BaseHTTPRequestHandler], None]


class HttpServer:
    """Lets `answer` answer to GET and POST, each connection in a thread of its own."""

    def __init__(self, answer: Answering, encrypted: ssl.SSLContext | None = None, port: int = 0) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer(self)

            def do_POST(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        if encrypted is not None:
            # Hands are shaken in these threads, too: one that never speaks must not block the others.
            self._server.socket = encrypted.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        """Starts to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
