"""Several files in flight at once over one connection, where the way to the server is long.

A small file takes some ten questions and answers, so that a way of 50 ms costs it half a second, whatever the
bandwidth.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import paramiko

from allegro.export.channel import open_sftp
from allegro.export.sftp_client import SftpClient, is_refusal

L = TypeVar("L")
T = TypeVar("T")

LANES = 4
"""OpenSSH lets a connection have ten (MaxSessions, sshd_config(5)); others may use the server, too."""
LONG_WAY_S = 0.01
"""From this round trip on more than one lane pays."""
OPEN_WITHIN_S = 20.0
"""A server that has not opened a further one by then gets all files by what there is."""


def round_trip_s(client: SftpClient, clock: Callable[[], float]) -> float:
    """Seconds from a question to its answer: the shortest of three. Raises what breaks the connection."""
    shortest = float("inf")
    for _ in range(3):
        asked = clock()
        try:
            client.stat(".")
        except OSError as error:
            if not is_refusal(error):  # a refusal has come all the way, too
                raise
        shortest = min(shortest, clock() - asked)
    return shortest


def answers(client: SftpClient) -> bool:
    """Whether the connection of this session is still there."""
    try:
        client.stat(".")
    except OSError as error:
        return is_refusal(error)
    except (EOFError, paramiko.SSHException):
        return False
    return True


@contextlib.contextmanager
def lanes(
    client: SftpClient, files: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Sequence[SftpClient]]:
    """`client`, and further ones of its connection if `files` and the way make them worth it.

    A server that allows no more gets on with what there is. One that ends the whole connection for it does
    not answer any more (see `answers`).
    """
    wanted = min(LANES, files) if files > 1 and round_trip_s(client, clock) >= LONG_WAY_S else 1
    with contextlib.ExitStack() as stack:
        found = [client]
        channel = client.get_channel()
        while channel is not None and len(found) < wanted:
            try:
                another = stack.enter_context(open_sftp(channel.get_transport(), OPEN_WITHIN_S))
            except (EOFError, OSError, paramiko.SSHException, paramiko.SFTPError):
                break
            another.sock.settimeout(channel.gettimeout())
            found.append(another)
        yield found


def in_lanes(clients: Sequence[L], tasks: Iterable[T], work: Callable[[L, T], None]) -> None:
    """Has `work` done for each task, in their order, one at a time by each client.

    The first failure ends it: what is under way elsewhere ends by itself, the rest is left, and it is raised.
    """
    left = iter(tasks)
    taking = threading.Lock()
    failures: list[BaseException] = []

    def lane(client: L) -> None:
        while not failures:
            with taking:
                task = next(left, None)
            if task is None:
                return
            try:
                work(client, task)
            except BaseException as error:  # told in the thread that asked
                failures.append(error)

    others = [threading.Thread(target=lane, args=(each,), name="export-lane") for each in clients[1:]]
    for thread in others:
        thread.start()
    lane(clients[0])
    for thread in others:
        thread.join()
    if failures:
        raise failures[0]
