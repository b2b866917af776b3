"""A supervisor that answers from a table, and the command line that asks it."""

import json
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from allegro.cli.main import main


class Api(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers from a table, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, list[tuple[int, object]]] = {}
        self.asked: list[tuple[str, Any]] = []
        super().__init__(str(path), Handler)

    def answer(self, request: str, *answers: object, status: int = 200) -> None:
        """What to answer to `METHOD /path`; the last answer is repeated."""
        self.answers[request] = [(status, answer) for answer in answers]


class Handler(BaseHTTPRequestHandler):
    server: Api

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        sent = self.rfile.read(length)
        binary = self.headers.get("Content-Type") == "application/octet-stream"
        body = sent if binary else json.loads(sent) if sent else None
        request = f"{self.command} {self.path.removeprefix('/api')}"
        self.server.asked.append((request, body))
        answers = self.server.answers[request]
        status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
        content = (
            answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        )
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if content:
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

    def log_message(self, *_: object) -> None: ...


def run(api: Api, *arguments: str) -> int:
    """Runs a command against it; returns the exit code."""
    return main([*arguments, "--socket", str(api.server_address)])
