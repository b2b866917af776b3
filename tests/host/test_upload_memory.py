"""What a long queue, and a very large file, cost the device's memory: no more than a short queue does."""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allegro.export.upload_part import part_name
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.spec("X3"), pytest.mark.long, pytest.mark.timeout(7200)]

MIB = 1 << 20
GROWTH = 24 * MIB
"""Bytes above what the program takes once it has sent something."""

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


def peak_after(tmp_path: Path, server: SftpServer, is_under_way: Callable[[], bool]) -> int:
    """Sends the queue in a process of its own; bytes of memory by which it grows from then on."""
    login = (server.address, str(server.port), server.user, server.password, server.fingerprint)
    device = subprocess.Popen([sys.executable, "-c", DEVICE, str(tmp_path), *login], stdin=subprocess.PIPE)
    try:
        wait_for(is_under_way, "the first to arrive", 600, 0.2)
        Path(f"/proc/{device.pid}/clear_refs").write_text("5")  # proc(5): VmHWM begins anew
        began = _memory(device.pid, "VmRSS")
        wait_for(lambda: not [*(tmp_path / "upload").iterdir()], "an empty queue", 3000, 1)
        return _memory(device.pid, "VmHWM") - began
    finally:
        device.kill()
        device.communicate()


def _memory(pid: int, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_ten_thousand_small_files(tmp_path: Path, server: SftpServer) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    for number in range(10_000):
        (upload / f"20261121T{number:06d}Z_presenter_next.pcapng").write_bytes(os.urandom(100))
    grown = peak_after(tmp_path, server, lambda: len(server.files()) >= 500)
    assert len(server.files()) == 10_000
    print(f"grown by {grown / MIB:.1f} MiB")
    assert grown <= GROWTH


def test_a_file_of_20_gib(tmp_path: Path, server: SftpServer) -> None:
    (tmp_path / "upload").mkdir()
    file = tmp_path / "upload" / "20261121T143005Z_presenter_next.pcapng"
    with file.open("wb") as sparse:
        sparse.truncate(20 << 30)
    part = server.root / part_name(file.name, "allegro-mm-1234")
    grown = peak_after(tmp_path, server, lambda: part.exists() and part.stat().st_size >= 64 * MIB)
    (there,) = server.root.iterdir()
    assert there.stat().st_size == 20 << 30
    there.unlink()
    print(f"grown by {grown / MIB:.1f} MiB")
    assert grown <= GROWTH
