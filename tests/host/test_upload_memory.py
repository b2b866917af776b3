"""What a long queue, and a very large file, cost the device's memory: no more than a short queue does."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Tell
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.spec("X3"), pytest.mark.long, pytest.mark.timeout(7200)]

MIB = 1 << 20
GROWTH = 24 * MIB
"""Bytes above what a short queue, or a small file, takes at most."""

DEVICE = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from allegro.export.queue import UploadQueue
    from allegro.export.uploads import ExportService
    from allegro.settings.model import Export

    folder, host, port, user, password, pinned = sys.argv[1:]
    export = Export(host=host, port=int(port), username=user, password=password, host_key=pinned)
    queue = UploadQueue(Path(folder, "upload"), Path(folder, "db.sqlite"))
    service = ExportService(queue, lambda: export, Path(folder, "ssh"), "allegro-mm-1234")
    service.upload_now()
    service.start()
    sys.stdin.read()
    """
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path / "sshd") as made:
        yield made


def peak(tmp_path: Path, server: SftpServer) -> int:
    """Sends the queue in a process of its own; bytes of memory that it had at most."""
    login = (server.address, str(server.port), server.user, server.password, server.fingerprint)
    device = subprocess.Popen([sys.executable, "-c", DEVICE, str(tmp_path), *login], stdin=subprocess.PIPE)
    try:
        wait_for(lambda: not [*(tmp_path / "upload").iterdir()], "an empty queue", 3000, 0.2)
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{device.pid}/status").read_text())  # proc(5)
        assert found is not None
        return int(found[1]) * 1024
    finally:
        device.kill()
        device.communicate()


def put_files(tmp_path: Path, number: int) -> None:
    """As many small ones into the queue."""
    upload = tmp_path / "upload"
    upload.mkdir(exist_ok=True)
    for each in range(number):
        (upload / f"20261121T{each:06d}Z_presenter_next.pcapng").write_bytes(os.urandom(100))


def put_file(tmp_path: Path, size: int) -> None:
    """One with nothing in it into the queue."""
    put_files(tmp_path, 1)
    (file,) = (tmp_path / "upload").iterdir()
    os.truncate(file, size)


def test_ten_thousand_small_files(tmp_path: Path, server: SftpServer, tell: Tell) -> None:
    put_files(tmp_path, 100)
    few = peak(tmp_path, server)
    put_files(tmp_path, 10_000)
    grown = peak(tmp_path, server) - few
    assert len(server.files()) == 100 + 10_000
    tell(f"{few / MIB:.1f} MiB for 100, {grown / MIB:.1f} MiB more for 10,000")
    assert grown <= GROWTH


def test_a_file_of_20_gib(tmp_path: Path, server: SftpServer, tell: Tell) -> None:
    put_file(tmp_path, 64 * MIB)
    small = peak(tmp_path, server)
    (there,) = server.root.iterdir()
    there.unlink()
    put_file(tmp_path, 20 << 30)
    grown = peak(tmp_path, server) - small
    (there,) = server.root.iterdir()
    assert there.stat().st_size == 20 << 30
    there.unlink()
    tell(f"{small / MIB:.1f} MiB for 64 MiB, {grown / MIB:.1f} MiB more for 20 GiB")
    assert grown <= GROWTH
