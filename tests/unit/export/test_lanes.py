import threading

import pytest
from paramiko import SFTPAttributes

from allegro.export.lanes import LANES, LONG_WAY_S, in_lanes, lanes, round_trip_s
from allegro.export.sftp_client import SftpClient, SftpStatusError


class Server(SftpClient):
    """A session without a server: each question takes as long as it is told."""

    def __init__(self, seconds: list[float]) -> None:
        self.now = 0.0
        self._seconds = iter(seconds)

    def stat(self, path: bytes | str) -> SFTPAttributes:
        self.now += next(self._seconds)
        raise SftpStatusError(SftpStatusError.UNSUPPORTED, "no stat")

    def get_channel(self) -> None:
        """There is none."""

    def clock(self) -> float:
        return self.now


@pytest.mark.spec("X5")
def test_the_way_is_as_long_as_its_quickest_answer_also_if_that_is_a_refusal() -> None:
    server = Server([0.2, 0.05, 0.3])
    assert round_trip_s(server, server.clock) == pytest.approx(0.05)


def test_one_file_and_a_short_way_need_no_more_than_one_lane() -> None:
    server = Server([0.0] * 3)
    assert LONG_WAY_S > 0
    with lanes(server, 1, server.clock) as one:
        assert one == [server]
    with lanes(server, 100, server.clock) as still_one:
        assert still_one == [server]


def clients(count: int) -> list[SftpClient]:
    return [Server([]) for _ in range(count)]


def test_every_task_is_done_once_and_several_at_the_same_time() -> None:
    together = threading.Barrier(LANES, timeout=20)
    done: list[int] = []

    def work(client: SftpClient, task: int) -> None:
        together.wait()
        done.append(task)

    in_lanes(clients(LANES), range(3 * LANES), work)
    assert sorted(done) == list(range(3 * LANES))


def test_the_first_failure_is_told_and_leaves_the_rest() -> None:
    begun: list[int] = []
    failed = threading.Event()

    def work(client: SftpClient, task: int) -> None:
        begun.append(task)
        if task == 1:
            failed.set()
            raise ValueError("no way")
        failed.wait(20)

    with pytest.raises(ValueError, match="no way"):
        in_lanes(clients(2), range(100), work)
    assert len(begun) < 10
