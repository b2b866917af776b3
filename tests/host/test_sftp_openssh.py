"""Uploads to OpenSSH servers that refuse a part of the protocol, interrupted at every place."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.export import parts, sftp
from allegro.export.failures import FileTrouble, UploadStopped
from allegro.export.parts import Step
from allegro.export.session import Login, session
from allegro.export.trial import try_out
from tests.harness.sftp_server import SftpServer
from tests.host.sending import DEVICE, NAME, deliver, put_file, target

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
    monkeypatch.setattr(parts, "WINDOW", 4)


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
    with session(target(server), Login(server.user, server.password), server.fingerprint) as client:
        tried = try_out(client, ".", DEVICE, "A test upload of this device, which may be deleted.\n")
    assert any("begin anew" in note for note in tried.notes) == (kind in BEGIN_ANEW)
    assert any("fsync" in note for note in tried.notes) == (kind in NO_FSYNC)
    assert any("removes nothing" in note for note in tried.notes) == (kind == "no removing")
    places: list[tuple[Step, int]] = [("sending", 0), ("sending", 128 * KIB), ("checking", SIZE)]
    places += [("renaming", SIZE), ("removing", SIZE)]
    for place, at in places:
        file, content = put_file(upload, SIZE, f"{place}{at}.pcapng")
        remembered: list[str] = [""]

        def interrupt(step: Step, done: int, size: int, place: Step = place, at: int = at) -> None:
            if step == place and done >= at:
                raise UploadStopped

        with pytest.raises(UploadStopped):
            deliver(server, file, progress=interrupt, memory=sftp.Memory(note=remembered.append))
        assert file.read_bytes() == content
        sent = deliver(server, file, memory=sftp.Memory(remembered[-1]))
        assert sent is not None
        assert sent.already_there == (place == "removing")
        assert bool(sent.resumed_at) == (at > 0 and place != "removing" and kind not in BEGIN_ANEW)
        assert (server.root / file.name).read_bytes() == content
        assert not file.exists()
    assert len(server.files()) == len(places) + 1, "each once, and the test file"


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
