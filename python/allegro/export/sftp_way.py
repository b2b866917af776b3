"""The way out by SFTP: a server with a pinned host key, and several lanes of a connection where that pays."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from allegro.export import sftp, upload_trial
from allegro.export.directories import make_directory
from allegro.export.failures import Target
from allegro.export.host_keys import HostKey
from allegro.export.lanes import answers, lanes
from allegro.export.pace import Pace
from allegro.export.session import Login
from allegro.export.sftp_client import SftpClient
from allegro.export.way import Lane, Memory, Progress, Sent, Trial

log = logging.getLogger(__name__)


class SftpWay:
    """The server `target`; `device` names this device in temporary names."""

    def __init__(self, target: Target, login: Login, pinned: HostKey, device: str) -> None:
        self._target = target
        self._login = login
        self._pinned = pinned
        self._device = device

    @contextlib.contextmanager
    def lanes(self, files: int) -> Iterator[Sequence[Lane]]:
        """As many as are worth it for so many files. Raises AllegroError, also for what breaks meanwhile."""
        with contextlib.ExitStack() as stack:
            client = stack.enter_context(self._connected())
            clients = stack.enter_context(lanes(client, files))
            if files > 1 and not answers(client):  # it has ended all, asked for a further lane
                log.info("The server ended the connection at a further lane: one is used")
                clients = [stack.enter_context(self._connected())]
            yield [SftpLane(each, self._device) for each in clients]

    def _connected(self) -> contextlib.AbstractContextManager[SftpClient]:
        return sftp.connected(self._target, self._login, self._pinned)


class SftpLane:
    """One session. What breaks the connection is raised as it comes, and told by `SftpWay.lanes`."""

    def __init__(self, client: SftpClient, device: str) -> None:
        self._client = client
        self._device = device

    def make_directory(self, directory: str) -> None:
        """See `Lane`."""
        make_directory(self._client, directory)

    def send(
        self,
        file: Path,
        directory: str,
        progress: Progress,
        memory: Memory,
        pace: Pace,
        dispose: Callable[[Path], None],
    ) -> Sent | None:
        """See `Lane`."""
        return sftp.send(
            *(self._client, file, directory, self._device, progress),
            memory=memory,
            pace=pace,
            dispose=dispose,
        )

    def throw_away(self, note: str) -> None:
        """See `Lane`. What is noted here is only a name."""

    def try_out(self, directory: str, text: str) -> Trial:
        """See `Lane`."""
        return upload_trial.try_out(self._client, directory, self._device, text)
