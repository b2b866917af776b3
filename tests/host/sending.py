"""Sends one file to a server of the bench, as the device does; what tests of all ways out share."""

import os
from pathlib import Path

import pytest

from allegro.export import sftp
from allegro.export.directories import make_directory
from allegro.export.failures import Target, UploadStopped
from allegro.export.host_keys import HostKey
from allegro.export.pace import Pace
from allegro.export.queue import UploadQueue
from allegro.export.session import Login, session
from allegro.export.uploads import ExportService
from allegro.export.way import Memory, Progress, Sent, Way
from allegro.settings.model import Export
from allegro.storage.uploaded import remove
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


class Kept:
    """What outlives a power cut."""

    def __init__(self) -> None:
        self.text = ""

    def memory(self) -> Memory:
        """As a try finds it."""
        return Memory(self.text, lambda text: setattr(self, "text", text))


def send_by(
    way: Way, directory: str, file: Path, progress: Progress = quiet, kept: Kept | None = None
) -> Sent | None:
    """By this way, as the queue does."""
    with way.lanes(1) as (lane,):
        lane.make_directory(directory)
        return lane.send(file, directory, progress, (kept or Kept()).memory(), Pace(), remove)


def stop_at(way: Way, directory: str, file: Path, place: int, kept: Kept | None = None) -> None:
    """Somebody stops the upload when so many bytes are sent."""

    def stop(step: str, done: int, _size: int) -> None:
        if step == "sending" and done >= place:
            raise UploadStopped

    with pytest.raises(UploadStopped):
        send_by(way, directory, file, stop, kept)


def service(folder: Path, export: Export) -> ExportService:
    """The queue below `folder`, not started."""
    upload = folder / "upload"
    upload.mkdir(exist_ok=True)
    return ExportService(UploadQueue(upload, folder / "db.sqlite"), lambda: export, folder / "ssh", DEVICE)
