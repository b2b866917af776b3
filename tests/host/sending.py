"""Sends one file to a server of the bench, as the device does; what tests of all ways out share."""

import os
import socket
from pathlib import Path

import pytest

from allegro.export import sftp
from allegro.export.directories import make_directory
from allegro.export.failures import Target, UploadStopped
from allegro.export.host_keys import HostKey
from allegro.export.pace import Pace
from allegro.export.queue import UploadQueue
from allegro.export.session import Login, session
from allegro.export.sftp_client import SftpClient
from allegro.export.uploads import ExportService
from allegro.export.way import Memory, Progress, Sent, Step, Way
from allegro.settings.model import Export
from allegro.storage.uploaded import remove
from tests.harness.sftp_server import SftpServer
from tests.harness.sftp_stub import StubServer

NAME = "20261121T143005Z_presenter_next.pcapng"
DEVICE = "allegro-mm-1234"

PLACES: tuple[tuple[Step, int], ...] = (
    *(("sending", 0), ("sending", 1), ("sending", 50), ("sending", 99)),
    *(("checking", 100), ("renaming", 100), ("removing", 100)),
)
"""Where an upload may break off: steps, and percent of the file that are on the server."""
BREAKS = [(place, power_goes) for place in PLACES for power_goes in (True, False)]
"""With the power going there, or somebody who stops it."""


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


class PowerCut(BaseException):
    """Nothing of the device runs any more."""


def keep_a_part_and_refuse(path: Path) -> None:
    """At CLOSE, as with a quota of a network file system behind the server."""
    os.truncate(path, path.stat().st_size // 2)
    raise OSError("disk quota exceeded")


def break_off(client: SftpClient, file: Path, place: Step, percent: int, *, power_goes: bool) -> str:
    """Sends it until the user stops it there, or the power goes; what is remembered then."""
    noted = [""]

    def progress(step: Step, done: int, size: int) -> None:
        if step != place or done * 100 < size * percent:
            return
        if not power_goes:
            raise UploadStopped
        channel = client.get_channel()
        assert channel is not None
        connection = channel.get_transport()
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.join()
        raise PowerCut

    with pytest.raises(PowerCut if power_goes else UploadStopped):
        sftp.send(client, file, ".", DEVICE, progress, memory=Memory(note=noted.append))
    return noted[-1]


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
