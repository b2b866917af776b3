"""A WSGI application served by HTTPS on the loopback (cheroot), which can be made to misbehave."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

Environ = dict[str, Any]
Before = Callable[[str, str], str | None]
"""Method and path of a request → a status line to answer with instead, or None."""


class WsgiServer:
    """`before` and `after` are asked for each request that the application answers.

    `hides`: headers, in small letters, that answers to HEAD lack. `ended`: methods of all requests that it is
    through with, also of those that broke off.
    """

    def __init__(self, application: Callable[..., Any], certificate: Path, key: Path) -> None:
        self.before: Before = lambda method, path: None
        self.after: Before = lambda method, path: None
        self.hides: frozenset[str] = frozenset()
        self.ended: list[str] = []
        self._application = application
        self._server = Server(("127.0.0.1", 0), self._answer, numthreads=4)
        self._server.ssl_adapter = BuiltinSSLAdapter(str(certificate), str(key))
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve, name="wsgi", daemon=True)

    @property
    def origin(self) -> str:
        """Scheme, name and port."""
        return f"https://localhost:{self._server.bind_addr[1]}"

    def __enter__(self) -> Self:
        """Starts to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join()

    def _answer(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        try:
            return self._answered(environ, start)
        finally:
            self.ended.append(environ["REQUEST_METHOD"])

    def _answered(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if (status := self.before(method, path)) is not None:
            start(status, [("Content-Length", "0"), ("Connection", "close")])
            return [b""]
        told: list[Any] = []
        content = b"".join(self._application(environ, lambda *answer: told.append(answer)))
        if (status := self.after(method, path)) is not None:
            start(status, [("Content-Length", "0"), ("Connection", "close")])
            return [b""]
        status, headers, *more = told[0]
        if method == "HEAD":
            headers = [each for each in headers if each[0].lower() not in self.hides]
        start(status, headers, *more)
        return [content]
