"""Uploads to OpenSSH servers that refuse a part of the protocol, interrupted at every place."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from allegro.export import sftp, upload_part
from allegro.export.device_key import device_key
from allegro.export.failures import FileTrouble, HostKeyChanged, ServerTrouble, UploadStopped
from allegro.export.host_keys import HostKey
from allegro.export.key_file import KeyKind
from allegro.export.pace import Pace
from allegro.export.session import Login, server_host_key, session
from allegro.export.upload_part import CHUNK
from allegro.export.upload_trial import try_out
from allegro.export.way import Memory, Step
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import wait_for
from tests.host.sending import DEVICE, NAME, deliver, put_file, quiet, target

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
}
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


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.spec("X1")
def test_wherever_it_is_interrupted_a_file_arrives_once(server: SftpServer, upload: Path, kind: str) -> None:
    server.options = OPTIONS[kind]
    server.start()
    with session(target(server), Login(server.user, server.password), HostKey(server.fingerprint)) as client:
        tried = try_out(client, ".", DEVICE, "A test upload of this device, which may be deleted.\n")
    assert any("begin anew" in note for note in tried.notes) == (kind in BEGIN_ANEW)
    assert any("fsync" in note for note in tried.notes) == (kind in NO_FSYNC)
    assert any("removes nothing" in note for note in tried.notes) == (kind == "no removing")
    places: list[tuple[Step, int]] = [("sending", 0), ("sending", 1), ("sending", SIZE // 2)]
    places += [("sending", SIZE * 99 // 100), ("checking", SIZE), ("renaming", SIZE), ("removing", SIZE)]
    for place, at in places:
        file, content = put_file(upload, SIZE, f"{place}{at}.pcapng")
        remembered: list[str] = [""]

        def interrupt(step: Step, done: int, size: int, place: Step = place, at: int = at) -> None:
            if step == place and done >= at:
                raise UploadStopped

        with pytest.raises(UploadStopped):
            deliver(server, file, progress=interrupt, memory=Memory(note=remembered.append))
        assert file.read_bytes() == content
        sent = deliver(server, file, memory=Memory(remembered[-1]))
        assert sent is not None
        assert sent.already_there == (place == "removing")
        assert bool(sent.resumed_at) == (at > 0 and place != "removing" and kind not in BEGIN_ANEW)
        assert (server.root / file.name).read_bytes() == content
        assert not file.exists()
    assert len(server.files()) == len(places) + 1, "each once, and the test file"


@pytest.mark.parametrize("kind", OPTIONS)
def test_a_name_that_is_taken_is_left_alone(server: SftpServer, upload: Path, kind: str) -> None:
    server.options = OPTIONS[kind]
    server.start()
    for size in (SIZE, SIZE + 1):
        (server.root / f"{size}.pcapng").write_bytes(b"x" * SIZE)
        file, content = put_file(upload, size, f"{size}.pcapng")
        sent = deliver(server, file)
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


def test_a_file_that_may_not_be_read_and_is_not_this_one_stays(server: SftpServer, upload: Path) -> None:
    server.options = OPTIONS["reading refused"]
    server.start()
    file, content = put_file(upload, KIB)
    (server.root / NAME).write_bytes(bytes(KIB))
    sent = deliver(server, file)
    assert sent is not None
    assert (server.root / NAME).read_bytes() == bytes(KIB)
    assert (server.root / sent.name).read_bytes() == content


def log_in(server: SftpServer, pinned: HostKey) -> None:
    with session(target(server), Login(server.user, server.password), pinned) as client:
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


def test_a_server_with_too_many_connections_is_not_taken_for_something_else(server: SftpServer) -> None:
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
        with pytest.raises(ServerTrouble, match="closed the connection before") as caught:
            log_in(server, HostKey(server.fingerprint))
        assert "too many connections" in caught.value.remedy


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


@pytest.mark.parametrize("place", ["checking", "renaming"])
def test_a_server_that_dies_before_the_renaming_has_the_file_once_in_the_end(
    server: SftpServer, upload: Path, place: Step
) -> None:
    server.start()
    file, content = put_file(upload, SIZE)

    def die(step: Step, done: int, size: int) -> None:
        if step == place:
            server.stop()

    with pytest.raises((OSError, EOFError, paramiko.SSHException)):
        deliver(server, file, progress=die)
    assert file.read_bytes() == content
    assert not (server.root / NAME).exists()
    server.start()
    sent = deliver(server, file)
    assert sent is not None
    assert sent.resumed_at == SIZE
    assert server.files() == [NAME]
    assert (server.root / NAME).read_bytes() == content
