"""Servers on the loopback that notifications are sent to: mail (aiosmtpd), web, syslog."""

import asyncio
import http.server
import json
import socket
import ssl
import threading
import warnings
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.harness.http_server import HttpServer

USER, PASSWORD = "meter", "s3cret-of-the-mäil"


def tls(chain: str, *, clients: str = "") -> ssl.SSLContext:
    """Of a server; `clients`: it demands a certificate of this authority from who connects."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context


@dataclass
class MailServer:
    """Takes mail. `starttls` or `encrypted`: a context for this kind of encryption; `log_in`: only then.

    `no_mechanism`: a way to log in that it does not offer; `no_such`: recipients that it refuses; `no_data`:
    what it answers to a message instead of taking it.
    """

    starttls: ssl.SSLContext | None = None
    encrypted: ssl.SSLContext | None = None
    log_in: bool = False
    no_mechanism: str = ""
    no_such: tuple[str, ...] = ()
    no_data: str = ""
    port: int = 0
    envelopes: list[Envelope] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Starts to serve; again on the port of before."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    @property
    def messages(self) -> list[Message]:
        """What has arrived."""
        return [message_from_bytes(each.original_content or b"") for each in self.envelopes]

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(
            self._protocol, "127.0.0.1", self.port, ssl=self.encrypted, reuse_address=True
        )
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._end.wait()
        server.close()

    def _protocol(self) -> SMTP:
        with warnings.catch_warnings():
            # It does not see that a connection was encrypted from its beginning.
            warnings.simplefilter("ignore")
            return SMTP(
                self,
                hostname="mail.bench",
                loop=self._loop,
                tls_context=self.starttls,
                require_starttls=self.starttls is not None,
                authenticator=self._judge,
                auth_required=self.log_in,
                auth_require_tls=self.starttls is not None,
                auth_exclude_mechanism=[self.no_mechanism] if self.no_mechanism else None,
            )

    def _judge(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, who: Any
    ) -> AuthResult:
        right = LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=who == right, handled=False)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Judges a recipient."""
        if address in self.no_such:
            return f"550 5.1.1 {address}: no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Takes a message."""
        if self.no_data:
            return self.no_data
        self.envelopes.append(envelope)
        return f"250 2.0.0 Ok: queued as {len(self.envelopes)}"


@dataclass(frozen=True)
class Call:
    """What a web server was sent."""

    path: str
    headers: dict[str, str]
    body: Any


class WebServer(HttpServer):
    """Takes POSTs of JSON. `answer`: status, headers, text."""

    def __init__(self, encrypted: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.calls: list[Call] = []
        self.answer: tuple[int, dict[str, str], str] = (200, {}, "ok")
        super().__init__(self._take, encrypted, port)

    def _take(self, request: http.server.BaseHTTPRequestHandler) -> None:
        content = request.rfile.read(int(request.headers["Content-Length"]))
        self.calls.append(Call(request.path, dict(request.headers), json.loads(content)))
        status, headers, text = self.answer
        request.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(text.encode())


class SyslogServer:
    """Reads frames with their length before them (RFC 6587, 3.4.1)."""

    def __init__(self, encrypted: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.messages: list[str] = []
        self._encrypted = encrypted
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        """Starts to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        try:
            if self._encrypted is not None:
                connection = self._encrypted.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while length := _length(stream):
                    self.messages.append(stream.read(length).decode())
        except OSError:
            connection.close()


def _length(stream: Any) -> int:
    """The number before the blank; 0 at the end."""
    digits = b""
    while (byte := stream.read(1)) not in (b"", b" "):
        digits += byte
    return int(digits or b"0")
