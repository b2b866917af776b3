"""Uploads to OpenSSH servers that refuse a part of the protocol, interrupted at every place."""

import contextlib
import datetime as dt
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import paramiko
import pytest

from allegro.export import sftp, upload_part
from allegro.export.device_key import device_key
from allegro.export.failures import FileTrouble, HostKeyChanged, ServerTrouble
from allegro.export.host_keys import HostKey
from allegro.export.key_file import KeyKind
from allegro.export.pace import Pace
from allegro.export.queue import UploadQueue
from allegro.export.session import Login, server_host_key, session
from allegro.export.sftp_client import SftpClient
from allegro.export.upload_part import CHUNK, part_name
from allegro.export.upload_trial import try_out
from allegro.export.uploads import ExportService
from allegro.export.way import TEST_FILE, Memory, Progress, Step
from allegro.settings.model import Export
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import wait_for
from tests.host.sending import BREAKS, DEVICE, NAME, break_off, deliver, put_file, quiet, target

KIB = 1024
SIZE = 300 * KIB

pytestmark = [pytest.mark.spec("X3", "X5"), pytest.mark.timeout(120)]

WRITING = "realpath,stat,lstat,fstat,open,close,write,rename,mkdir,opendir,readdir,remove"
OPTIONS = {
    "plain": "",
    "fsync refused": "-P fsync",
    "reading refused": "-P read",
    "no extensions": "-P posix-rename,statvfs,fstatvfs,hardlink,fsync,lsetstat,limits,expand-path",
    "only writing": f"-p {WRITING}",
    "no list": "-P opendir,readdir",
    "no removing": "-P remove",
    "no chroot": "",
}
ACCESS = ("no ed25519 for users", "ecdsa host key alone", "another host key added")
BEGIN_ANEW = {"reading refused", "only writing"}
NO_FSYNC = {"fsync refused", "no extensions", "only writing"}


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    directory = tmp_path / "upload"
    directory.mkdir()
    return directory


@pytest.fixture(autouse=True)
def _small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_part, "WINDOW", 4)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    made = SftpServer(tmp_path / "sshd")
    yield made
    made.close()


def door(server: SftpServer, kind: str, folder: Path) -> Callable[[], AbstractContextManager[SftpClient]]:
    """Starts the server; how the device logs in there."""
    login = Login(server.user, server.password)
    server.options = OPTIONS.get(kind, "")
    if kind == "no chroot":
        server.more = "ChrootDirectory none"
        server.start_directory = "/run/bench/chroot/upload"
    if kind == "no ed25519 for users":
        key = device_key(folder / "ssh", DEVICE, "ecdsa")
        server.more = "PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256\nPasswordAuthentication no"
        server.authorize(key.public_line)
        login = Login(server.user, key=key.private)
    if "host key" in kind:
        server.more_host_keys = (ecdsa_key(server),)
        server.shows_its_key = False
    server.start()
    pinned = server_host_key(target(server))
    if kind == "another host key added":
        server.stop()
        server.shows_its_key = True
        server.start()
    return lambda: session(target(server), login, pinned)


@pytest.mark.parametrize("kind", [*OPTIONS, *ACCESS])
@pytest.mark.spec("X1")
def test_wherever_it_breaks_off_a_file_arrives_once(
    server: SftpServer, upload: Path, tmp_path: Path, kind: str
) -> None:
    log_in = door(server, kind, tmp_path)
    with log_in() as client:
        tried = try_out(client, ".", DEVICE, "A test upload of this device, which may be deleted.\n")
    assert any("begin anew" in note for note in tried.notes) == (kind in BEGIN_ANEW)
    assert any("fsync" in note for note in tried.notes) == (kind in NO_FSYNC)
    assert any("removes nothing" in note for note in tried.notes) == (kind == "no removing")
    arrived = {}
    with log_in() as later:
        for (place, percent), power_goes in BREAKS:
            file, content = put_file(upload, SIZE, f"{place}{percent}{power_goes}.pcapng")
            with log_in() if power_goes else contextlib.nullcontext(later) as client:
                noted = break_off(client, file, place, percent, power_goes=power_goes)
            assert file.read_bytes() == content
            assert (file.name in server.files()) == (place == "removing")
            sent = sftp.send(later, file, ".", DEVICE, quiet, memory=Memory(noted))
            assert sent is not None
            assert sent.already_there == (place == "removing")
            assert bool(sent.resumed_at) == (percent > 0 and place != "removing" and kind not in BEGIN_ANEW)
            assert not file.exists()
            arrived[file.name] = content
    file, content = put_file(upload, SIZE)
    with pytest.raises((OSError, EOFError, paramiko.SSHException)), log_in() as client:
        sftp.send(client, file, ".", DEVICE, dies_at("renaming", server))
    assert file.read_bytes() == content
    assert NAME not in server.files()
    server.start()
    with log_in() as client:
        assert sftp.send(client, file, ".", DEVICE, quiet) is not None
    (server.root / TEST_FILE).unlink()
    there = {each.name: each.read_bytes() for each in server.root.iterdir()}
    assert there == {**arrived, NAME: content}, "each once, and no part"


def dies_at(place: Step, server: SftpServer) -> Progress:
    """The server's computer goes down."""

    def progress(step: Step, done: int, size: int) -> None:
        if step == place:
            server.stop()

    return progress


@pytest.mark.parametrize("kind", [*OPTIONS, *ACCESS])
def test_a_name_that_is_taken_is_left_alone(
    server: SftpServer, upload: Path, tmp_path: Path, kind: str
) -> None:
    log_in = door(server, kind, tmp_path)
    for size in (SIZE, SIZE + 1):
        (server.root / f"{size}.pcapng").write_bytes(b"x" * SIZE)
        file, content = put_file(upload, size, f"{size}.pcapng")
        with log_in() as client:
            sent = sftp.send(client, file, ".", DEVICE, quiet)
        assert sent is not None
        assert not sent.already_there
        assert (server.root / sent.name).read_bytes() == content
        assert (server.root / file.name).read_bytes() == b"x" * SIZE
    assert len(server.files()) == 4


def test_a_directory_that_may_only_be_read_is_told(server: SftpServer, upload: Path) -> None:
    server.options = "-R"
    server.start()
    file, content = put_file(upload, KIB)
    with pytest.raises(FileTrouble, match="refused to write the file: permission denied"):
        deliver(server, file)
    with pytest.raises(FileTrouble, match="make the directory below: permission denied") as caught:
        deliver(server, file, "below")
    assert "the login begins in /upload" in caught.value.remedy
    assert file.read_bytes() == content


def test_a_directory_that_may_only_be_read_from_some_moment_on_costs_no_file(
    server: SftpServer, upload: Path
) -> None:
    server.start()
    contents = {}
    for (place, percent), power_goes in BREAKS:
        file, content = put_file(upload, SIZE, f"{place}{percent}{power_goes}.pcapng")
        with logged_in(server) as client:
            noted = break_off(client, file, place, percent, power_goes=power_goes)
        server.root.chmod(0o555)
        with logged_in(server) as client, pytest.raises(FileTrouble, match="permission denied"):
            try_out(client, ".", DEVICE, "A test upload of this device.\n")
        if place != "removing":  # until then the server does not have it under its name
            for _ in range(2):
                with pytest.raises(FileTrouble, match=r"refused to .* permission denied"):
                    deliver(server, file, memory=Memory(noted))
            assert file.read_bytes() == content
            assert file.name not in server.files()
            server.root.chmod(0o755)
        assert deliver(server, file, memory=Memory(noted)) is not None
        assert not file.exists()
        server.root.chmod(0o755)
        contents[file.name] = content
    assert {each.name: each.read_bytes() for each in server.root.iterdir()} == contents


def test_a_file_that_may_not_be_read_and_is_not_this_one_stays(server: SftpServer, upload: Path) -> None:
    server.options = OPTIONS["reading refused"]
    server.start()
    file, content = put_file(upload, KIB)
    (server.root / NAME).write_bytes(bytes(KIB))
    sent = deliver(server, file)
    assert sent is not None
    assert (server.root / NAME).read_bytes() == bytes(KIB)
    assert (server.root / sent.name).read_bytes() == content


def logged_in(server: SftpServer, pinned: HostKey | None = None) -> AbstractContextManager[SftpClient]:
    login = Login(server.user, server.password)
    return session(target(server), login, pinned or HostKey(server.fingerprint))


def log_in(server: SftpServer, pinned: HostKey) -> None:
    with logged_in(server, pinned) as client:
        client.stat(".")


def ecdsa_key(server: SftpServer) -> Path:
    path = server.directory / "ecdsa_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.mark.spec("X2")
@pytest.mark.parametrize("with_type", [True, False])
def test_a_host_key_of_another_type_beside_the_pinned_one_is_no_alarm(
    server: SftpServer, with_type: bool
) -> None:
    server.more_host_keys = (ecdsa_key(server),)
    server.shows_its_key = False
    server.start()
    shown = server_host_key(target(server))
    assert shown.type == "ecdsa-sha2-nistp256"
    pinned = shown if with_type else HostKey(shown.fingerprint)
    log_in(server, pinned)
    server.stop()
    server.shows_its_key = True
    server.start()
    assert server_host_key(target(server)).type == "ssh-ed25519", "which a new device would pin"
    log_in(server, pinned)
    log_in(server, HostKey(shown.fingerprint, "ssh-ed25519"))
    server.stop()
    server.more_host_keys = ()
    server.start()
    with pytest.raises(HostKeyChanged) as caught:
        log_in(server, pinned)
    assert caught.value.shown == HostKey(server.fingerprint, "ssh-ed25519")
    assert "Failed password" not in server.log.read_text()


def test_a_server_with_too_many_connections_is_not_taken_for_something_else_and_gets_the_file_later(
    server: SftpServer, upload: Path
) -> None:
    server.start()
    file, content = put_file(upload, SIZE)
    contents = {NAME: content}
    noted = {file: ""}
    for (place, percent), power_goes in BREAKS:
        file, content = put_file(upload, SIZE, f"{place}{percent}{power_goes}.pcapng")
        with logged_in(server) as client:
            noted[file] = break_off(client, file, place, percent, power_goes=power_goes)
        contents[file.name] = content
    server.stop()
    server.more = "MaxStartups 1"
    server.start()

    def idle() -> socket.socket | None:
        """A connection that takes the only place; the one that saw the server start may have it still."""
        connection = socket.create_connection((server.address, server.port))
        if connection.recv(4) == b"SSH-":
            return connection
        connection.close()
        return None

    with wait_for(idle, "the only place", 20):
        for file in noted:
            with pytest.raises(ServerTrouble, match="closed the connection before") as caught:
                deliver(server, file)
            assert "too many connections" in caught.value.remedy
            assert file.read_bytes() == contents[file.name]
    for file, note in noted.items():
        wait_for(partial(delivered, server, file, note), "the place to be free", 20)
    assert {each.name: each.read_bytes() for each in server.root.iterdir()} == contents


def delivered(server: SftpServer, file: Path, noted: str) -> bool:
    """Whether the server has let it in by now."""
    try:
        return deliver(server, file, memory=Memory(noted)) is not None
    except ServerTrouble:
        return False


@pytest.mark.spec("X1")
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_server_that_takes_no_ed25519_gets_a_key_of_another_kind(
    server: SftpServer, tmp_path: Path, kind: KeyKind
) -> None:
    algorithm = {"rsa": "rsa-sha2-512", "ecdsa": "ecdsa-sha2-nistp256"}[kind]
    server.more = f"PubkeyAcceptedAlgorithms {algorithm}"
    keys = {each: device_key(tmp_path / "ssh", DEVICE, each) for each in ("ed25519", kind)}
    for key in keys.values():
        server.authorize(key.public_line)
    server.start()
    pinned = HostKey(server.fingerprint)
    with session(target(server), Login(server.user, key=keys[kind].private), pinned) as client:
        client.stat(".")
    with (
        pytest.raises(ServerTrouble, match="the device's k") as caught,
        session(target(server), Login(server.user, key=keys["ed25519"].private), pinned),
    ):
        pytest.fail("logged in")
    assert "another kind of the device's own key" in caught.value.remedy


def test_a_backslash_is_asked_about_unless_the_directory_is_there(server: SftpServer, upload: Path) -> None:
    server.start()
    file, content = put_file(upload, KIB)
    with pytest.raises(FileTrouble, match="Is / meant") as caught:
        deliver(server, file, "captures\\2026")
    assert "/C:/captures" in caught.value.remedy
    assert server.files() == []
    (server.root / "captures\\2026").mkdir()
    (server.root / "captures\\2026").chmod(0o777)
    deliver(server, file, "captures\\2026")
    assert (server.root / "captures\\2026" / NAME).read_bytes() == content


@pytest.mark.spec("X4")
def test_a_limited_upload_is_spread_over_time_and_arrives_whole(server: SftpServer, upload: Path) -> None:
    server.start()
    file, content = put_file(upload, SIZE)
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = Pace(lambda: 100_000, clock=lambda: now, sleep=sleep)
    with session(target(server), Login(server.user, server.password), HostKey(server.fingerprint)) as client:
        sftp.send(client, file, ".", DEVICE, quiet, pace=pace)
    assert now == pytest.approx((SIZE - CHUNK) / 100_000, abs=0.5)
    assert (server.root / NAME).read_bytes() == content


@pytest.mark.spec("X4")
def test_a_limit_ends_with_its_time_of_day_in_the_middle_of_a_file(
    server: SftpServer, upload: Path, tmp_path: Path
) -> None:
    """By this limit the file would take most of an hour."""
    server.start()
    _, content = put_file(upload, SIZE)
    noon = int(dt.datetime(2026, 11, 21, 12).timestamp()) * 10**9
    now = [noon]
    export = Export(
        host=server.address,
        port=server.port,
        username=server.user,
        password=server.password,
        host_key=server.fingerprint,
        limit_kbit_s=1,
        limit_begins="08:00",
        limit_ends="18:00",
    )
    queue = UploadQueue(upload, tmp_path / "allegro.sqlite")
    service = ExportService(queue, lambda: export, tmp_path / "ssh", DEVICE, clock_ns=lambda: now[0])
    service.upload_now()
    service.start()
    try:
        part = server.root / part_name(NAME, DEVICE)
        wait_for(lambda: part.exists() and part.stat().st_size == CHUNK, "what may go at once", 20)
        now[0] = noon + 7 * 3600 * 10**9
        wait_for(lambda: not queue.waiting(), "an empty queue", 20)
    finally:
        service.stop()
    assert (server.root / NAME).read_bytes() == content
