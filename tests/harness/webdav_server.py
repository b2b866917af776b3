"""A WebDAV server on the loopback (WsgiDAV, served by cheroot), which can be made to misbehave."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server
from wsgidav.wsgidav_app import WsgiDAVApp

USER, PASSWORD = "probe", "geheim"

Environ = dict[str, Any]
Before = Callable[[str, str], str | None]
"""Method and path of a request → a status line to answer with instead, or None."""


class WebDavServer:
    """Serves `folder` by HTTPS to one user. `before` and `after` are asked for each request it answers."""

    def __init__(self, folder: Path, certificate: Path, key: Path) -> None:
        self.folder = folder
        self.before: Before = lambda method, path: None
        self.after: Before = lambda method, path: None
        self.tells_sizes = True
        config = {
            "provider_mapping": {"/dav": str(folder)},
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "logging": {"enable": False},
            "verbose": 0,
        }
        self._app = WsgiDAVApp(config)
        self._server = Server(("127.0.0.1", 0), self._answer, numthreads=4)
        self._server.ssl_adapter = BuiltinSSLAdapter(str(certificate), str(key))
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve, name="webdav", daemon=True)

    @property
    def url(self) -> str:
        """Of the folder."""
        return f"https://localhost:{self._server.bind_addr[1]}/dav"

    def files(self) -> dict[str, bytes]:
        """Everything in the folder, by its path."""
        there = (each for each in self.folder.rglob("*") if each.is_file())
        return {str(each.relative_to(self.folder)): each.read_bytes() for each in there}

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
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if (status := self.before(method, path)) is not None:
            start(status, [("Content-Length", "0"), ("Connection", "close")])
            return [b""]
        told: list[Any] = []
        content = b"".join(self._app(environ, lambda *answer: told.append(answer)))
        if (status := self.after(method, path)) is not None:
            start(status, [("Content-Length", "0"), ("Connection", "close")])
            return [b""]
        status, headers, *more = told[0]
        if method == "HEAD" and not self.tells_sizes:
            headers = [each for each in headers if each[0].lower() != "content-length"]
        start(status, headers, *more)
        return [content]
