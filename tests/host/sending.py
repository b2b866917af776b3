"""Sends one file to a server of the bench, as the device does."""

import os
from pathlib import Path

from allegro.export import sftp
from allegro.export.directories import make_directory
from allegro.export.failures import Target
from allegro.export.host_keys import HostKey
from allegro.export.session import Login, session
from allegro.export.way import Memory, Progress, Sent
from tests.harness.sftp_server import SftpServer
from tests.harness.sftp_stub import StubServer

NAME = "20261121T143005Z_presenter_next.pcapng"
DEVICE = "allegro-mm-1234"


def target(server: SftpServer | StubServer) -> Target:
    """Where it listens."""
    return Target(server.address, server.port, server.user)


def quiet(step: str, done: int, size: int) -> None:
    """Progress nobody looks at."""


def deliver(
    server: SftpServer | StubServer,
    file: Path,
    directory: str = ".",
    progress: Progress = quiet,
    memory: Memory | None = None,
) -> Sent | None:
    """Logs in, makes the directory, and sends the file."""
    with session(target(server), Login(server.user, server.password), HostKey(server.fingerprint)) as client:
        make_directory(client, directory)
        return sftp.send(client, file, directory, DEVICE, progress, memory=memory or Memory())


def put_file(upload: Path, size: int, name: str = NAME) -> tuple[Path, bytes]:
    """A new file of this size; returns it and its content."""
    content = os.urandom(size)
    path = upload / name
    path.write_bytes(content)
    return path, content
