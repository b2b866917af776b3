"""Uploads to servers that answer oddly: a file arrives whole and once, or stays here with the true reason."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import paramiko
import pytest
from paramiko.sftp import CMD_READ

from allegro.export import lanes, sftp, upload_part
from allegro.export import session as session_module
from allegro.export.failures import FileTrouble, ServerTrouble, UploadStopped
from allegro.export.host_keys import HostKey
from allegro.export.queue import UploadQueue
from allegro.export.session import Login, session
from allegro.export.sftp_client import SftpClient
from allegro.export.upload_part import part_name
from allegro.export.upload_trial import try_out
from allegro.export.uploads import ExportService
from allegro.export.way import TEST_FILE, Memory, Step, Trial
from allegro.settings.model import Export
from tests.harness.sftp_stub import ODD_ANSWERS, REFUSED_WRITE, StubServer
from tests.host.sending import (
    BREAKS,
    DEVICE,
    NAME,
    break_off,
    deliver,
    keep_a_part_and_refuse,
    put_file,
    quiet,
    target,
)

KIB = 1024
PART = part_name(NAME, DEVICE)

pytestmark = [pytest.mark.spec("X5"), pytest.mark.timeout(120)]

MIXTURES: dict[str, frozenset[str]] = {
    **{answer: frozenset({answer}) for answer in ODD_ANSWERS},
    "plain": frozenset(),
    "drop box": frozenset({"no list", "no reading", "no removing"}),
    "drop box that says failure": frozenset({"no list", "no reading", "failure for absent"}),
    "object store": frozenset({"no mkdir", "no writing on", "no renaming over", "no fstat"}),
    "sizes only in the list": frozenset({"no stat", "no reading"}),
}
NEVER = {
    "no renaming": "refused to give the file its final name",
    "blind": "show the file that was sent",
    "no sizes at all": "tells no sizes and lets nothing be read",
    "closing refused": "refused to write the file",
}
MIXTURES["closing refused"] = frozenset()
MIXTURES["blind"] = frozenset({"no stat", "no list"})
MIXTURES["no sizes at all"] = frozenset({"no sizes", "no reading"})
BEGIN_ANEW = {"no reading", "no writing on", "writing on begins anew", "no sizes", "drop box"}
BEGIN_ANEW |= {"drop box that says failure", "object store", "sizes only in the list"}


@pytest.fixture(params=sorted(MIXTURES.keys() - NEVER.keys()))
def mixture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StubServer]:
    monkeypatch.setattr(upload_part, "WINDOW", 4)
    with StubServer(tmp_path / "stub") as running:
        yield running


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    directory = tmp_path / "upload"
    directory.mkdir()
    return directory


def stop_at(wanted: Step, at_least: int = 0) -> Callable[[Step, int, int], None]:
    def progress(step: Step, done: int, size: int) -> None:
        if step == wanted and done >= at_least:
            raise UploadStopped

    return progress


def logged_in(stub: StubServer) -> AbstractContextManager[SftpClient]:
    return session(target(stub), Login(stub.user, stub.password), HostKey(stub.fingerprint))


def tried_out(stub: StubServer, number: int = 1) -> Trial:
    with logged_in(stub) as client:
        return try_out(client, ".", DEVICE, f"Test upload {number} of this device.\n")


def arrived(stub: StubServer) -> dict[str, bytes]:
    """Whatever has a final name on the server."""
    return {path.name: path.read_bytes() for path in stub.root.iterdir() if not path.name.startswith(".")}


def test_a_file_arrives_whole_whatever_the_server_answers(
    stub: StubServer, upload: Path, mixture: str
) -> None:
    stub.odd = MIXTURES[mixture]
    for size in (0, 300 * KIB):
        file, content = put_file(upload, size, f"{size}.pcapng")
        sent = deliver(stub, file)
        assert sent is not None
        assert sent.name == file.name
        assert not file.exists()
        assert arrived(stub)[file.name] == content
    assert len(arrived(stub)) == 2


def test_a_file_that_breaks_off_goes_on_or_begins_anew_in_the_same_try(
    stub: StubServer, upload: Path, mixture: str
) -> None:
    stub.odd = MIXTURES[mixture]
    tried = tried_out(stub)
    expected = {TEST_FILE: arrived(stub)[TEST_FILE]}
    with logged_in(stub) as later:
        for (place, percent), power_goes in BREAKS:
            file, content = put_file(upload, 160 * KIB, f"{place}{percent}{power_goes}.pcapng")
            with logged_in(stub) if power_goes else contextlib.nullcontext(later) as client:
                noted = break_off(client, file, place, percent, power_goes=power_goes)
            assert file.read_bytes() == content
            assert (file.name in arrived(stub)) == (place == "removing")
            sent = sftp.send(later, file, ".", DEVICE, quiet, memory=Memory(noted))
            assert sent is not None
            assert sent.name == file.name
            assert sent.already_there == (place == "removing")
            assert bool(sent.resumed_at) == (
                percent > 0 and place != "removing" and mixture not in BEGIN_ANEW
            )
            assert not file.exists()
            expected[file.name] = content

    def dies(step: Step, done: int, size: int) -> None:
        if step == "renaming":
            stub.end_sessions()

    file, expected[NAME] = put_file(upload, 160 * KIB)
    with pytest.raises((OSError, EOFError, paramiko.SSHException)):
        deliver(stub, file, progress=dies)
    assert NAME not in arrived(stub)
    assert deliver(stub, file) is not None
    assert arrived(stub) == expected
    begins_anew = any("begin anew" in note for note in tried.notes)
    assert begins_anew == (mixture in BEGIN_ANEW), "what the test upload says is what happens"
    assert any("fsync" in note for note in tried.notes)


def test_what_goes_on_is_compared_although_answers_are_noted_late(
    stub: StubServer, upload: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paramiko notes what it asks for ahead after it has asked, on a busy machine long after."""
    asks = paramiko.SFTPClient._async_request  # type: ignore[attr-defined]

    def asks_late(client: paramiko.SFTPClient, file: object, kind: int, *words: object) -> int:
        number = int(asks(client, file, kind, *words))
        if isinstance(file, paramiko.SFTPFile) and kind == CMD_READ:
            time.sleep(0.05)
        return number

    monkeypatch.setattr(paramiko.SFTPClient, "_async_request", asks_late)
    monkeypatch.setattr(session_module, "ANSWER_TIMEOUT_S", 5.0)
    file, content = put_file(upload, 100 * KIB)
    with pytest.raises(UploadStopped):
        deliver(stub, file, progress=stop_at("checking"))
    sent = deliver(stub, file)
    assert sent is not None
    assert sent.resumed_at == len(content)
    assert arrived(stub) == {NAME: content}


def test_a_file_that_the_server_has_already_is_not_sent_twice(
    stub: StubServer, upload: Path, mixture: str
) -> None:
    stub.odd = MIXTURES[mixture]
    file, content = put_file(upload, 100 * KIB)
    remembered: list[str] = []
    memory = Memory(note=remembered.append)
    with pytest.raises(UploadStopped):
        deliver(stub, file, progress=stop_at("removing"), memory=memory)
    again = deliver(stub, file, memory=Memory(remembered[-1]))
    assert again is not None
    assert again.already_there
    assert arrived(stub) == {NAME: content}
    assert not file.exists()


def test_another_file_of_the_same_name_stays(stub: StubServer, upload: Path, mixture: str) -> None:
    stub.odd = MIXTURES[mixture]
    file, content = put_file(upload, 100 * KIB)
    other = os.urandom(len(content))
    (stub.root / NAME).write_bytes(other)
    sent = deliver(stub, file)
    assert sent is not None
    assert arrived(stub) == {NAME: other, sent.name: content}
    assert not file.exists()


@pytest.mark.parametrize("mixture", sorted(NEVER))
def test_where_no_file_can_be_known_to_arrive_the_reason_is_told_and_nothing_lost(
    stub: StubServer, upload: Path, mixture: str
) -> None:
    stub.odd = MIXTURES[mixture]
    if mixture == "closing refused":
        stub.at_close = keep_a_part_and_refuse
    contents = dict([put_file(upload, 100 * KIB)])
    for (place, percent), power_goes in BREAKS:
        if place in ("sending", "checking"):  # no file gets farther everywhere
            file, content = put_file(upload, 100 * KIB, f"{place}{percent}{power_goes}.pcapng")
            contents[file] = content
            with logged_in(stub) as client:
                break_off(client, file, place, percent, power_goes=power_goes)
    with logged_in(stub) as client:
        for file, content in contents.items():
            for _ in range(2):
                with pytest.raises(FileTrouble, match=NEVER[mixture]):
                    sftp.send(client, file, ".", DEVICE, quiet)
            assert file.read_bytes() == content
        with pytest.raises(FileTrouble, match=NEVER[mixture]):
            try_out(client, ".", DEVICE, "Test upload of this device.\n")
    assert arrived(stub) == {}
    stub.odd, stub.at_close = frozenset(), lambda path: None
    for file in contents:
        assert deliver(stub, file) is not None
    assert arrived(stub) == {file.name: content for file, content in contents.items()}


def test_the_test_upload_leaves_one_file_or_says_that_more_will_stay(stub: StubServer, mixture: str) -> None:
    stub.odd = MIXTURES[mixture]
    tried = [tried_out(stub, number) for number in (1, 2)]
    removes = "no removing" not in stub.odd
    assert all(any("removes nothing" in note for note in each.notes) != removes for each in tried)
    if removes:
        assert [each.path for each in tried] == [f"./{TEST_FILE}"] * 2
        assert stub.files() == [TEST_FILE]
    else:
        assert [each.path for each in tried] == [f"./{TEST_FILE}", f"./{TEST_FILE}".replace(".txt", "_2.txt")]


def test_a_part_that_cannot_be_removed_costs_no_file(stub: StubServer, upload: Path) -> None:
    stub.odd = frozenset({"no removing"})
    file, _ = put_file(upload, KIB)

    def delete(step: Step, done: int, size: int) -> None:
        if step == "checking":
            file.unlink()

    assert deliver(stub, file, progress=delete) is None
    assert stub.files() == [PART]


def test_a_write_that_is_refused_leaves_no_hole(stub: StubServer, upload: Path) -> None:
    stub.odd = frozenset({"a write refused"})
    file, content = put_file(upload, 300 * KIB)
    for _ in range(2):
        with pytest.raises(FileTrouble, match="refused to write the file"):
            deliver(stub, file)
        assert (stub.root / PART).stat().st_size > REFUSED_WRITE, "what was under way behind it was taken"
    stub.odd = frozenset()
    assert deliver(stub, file) is not None
    assert arrived(stub) == {NAME: content}


def test_a_quota_costs_nothing_of_the_part(stub: StubServer, upload: Path) -> None:
    file, content = put_file(upload, 300 * KIB)
    stub.room = 128 * KIB
    with pytest.raises(FileTrouble, match="refused to write the file"):
        deliver(stub, file)
    stub.offsets.clear()
    for room in (128 * KIB, 192 * KIB, 192 * KIB):
        stub.room = room
        with pytest.raises(FileTrouble, match="refused to write the file"):
            deliver(stub, file)
        assert (stub.root / PART).read_bytes() == content[:room]
    assert 0 not in stub.offsets, "nothing is sent from the beginning"
    stub.room = None
    sent = deliver(stub, file)
    assert sent is not None
    assert sent.resumed_at == 192 * KIB
    assert arrived(stub) == {NAME: content}


@pytest.mark.parametrize(
    ("told", "length"), [(100_000, 100_000), (1, 32 * KIB), (1 << 30, 120 * KIB), (0, 32 * KIB)]
)
def test_writes_are_as_long_as_the_server_takes_them(
    stub: StubServer, upload: Path, monkeypatch: pytest.MonkeyPatch, told: int, length: int
) -> None:
    monkeypatch.setattr(upload_part, "WINDOW", 64)
    stub.longest_write = told
    file, content = put_file(upload, 3 * length + 1)
    assert deliver(stub, file) is not None
    assert stub.offsets == [0, length, 2 * length, 3 * length]
    assert arrived(stub) == {NAME: content}


@pytest.mark.parametrize("there", [0, 40 * KIB])
def test_a_server_that_says_more_of_its_writes_than_is_true_gets_short_ones(
    stub: StubServer, upload: Path, monkeypatch: pytest.MonkeyPatch, there: int
) -> None:
    monkeypatch.setattr(upload_part, "WINDOW", 64)
    stub.longest_write, stub.odd = 1 << 20, frozenset({"long writes refused"})
    file, content = put_file(upload, 300 * KIB)
    (stub.root / PART).write_bytes(content[:there])
    sent = deliver(stub, file)
    assert sent is not None
    assert sent.resumed_at == there
    assert arrived(stub) == {NAME: content}


def service_for(
    stub: StubServer, upload: Path, directory: Path, there: str
) -> tuple[ExportService, UploadQueue]:
    """A service that sends to the stub, and its queue."""
    export = Export(
        host=stub.address,
        port=stub.port,
        username=stub.user,
        password=stub.password,
        directory=there,
        host_key=stub.fingerprint,
    )
    queue = UploadQueue(upload, directory / "allegro.sqlite")
    return ExportService(queue, lambda: export, directory / "ssh", DEVICE), queue


def six_files(stub: StubServer, upload: Path, directory: Path) -> tuple[ExportService, dict[str, bytes]]:
    """A service that is to send them, and their contents."""
    contents = dict(put_file(upload, 10 * KIB, f"{number}.pcapng") for number in range(6))
    service, _ = service_for(stub, upload, directory, "{device}")
    assert service.upload_now() == 6
    return service, {file.name: content for file, content in contents.items()}


def sends_all(service: ExportService, stub: StubServer, contents: dict[str, bytes]) -> None:
    service._step()
    status = service.status()
    assert status.queue == ()
    assert status.last_run is not None
    assert (status.last_run.sent, status.last_run.failed, status.last_run.error) == (6, 0, "")
    assert {path.name: path.read_bytes() for path in (stub.root / DEVICE).iterdir()} == contents


def test_several_files_are_in_flight_where_the_way_is_long(
    stub: StubServer, upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "LONG_WAY_S", 0)
    together = threading.Barrier(2, timeout=30)
    stub.at_close = lambda path: void(together.wait())
    service, contents = six_files(stub, upload, tmp_path)
    sends_all(service, stub, contents)


@pytest.mark.parametrize("further", ["never begins", "ends the connection"])
def test_a_further_lane_costs_no_file(
    stub: StubServer, upload: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, further: str
) -> None:
    monkeypatch.setattr(lanes, "LONG_WAY_S", 0)
    if further == "never begins":
        monkeypatch.setattr(lanes, "OPEN_WITHIN_S", 0.5)
    over = threading.Event()
    sessions: list[int] = []

    def at_session(number: int, connection: paramiko.Transport) -> None:
        sessions.append(number)
        if number > 1:
            if further == "ends the connection":
                connection.close()
            over.wait(100)

    stub.at_session = at_session
    service, contents = six_files(stub, upload, tmp_path)
    try:
        sends_all(service, stub, contents)
    finally:
        over.set()
    assert sessions.count(1) == (1 if further == "never begins" else 2), "connected again where it must be"


def test_a_server_that_never_begins_with_sftp_is_told(
    stub: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "SFTP_WITHIN_S", 0.5)
    over = threading.Event()
    stub.at_session = lambda number, connection: void(over.wait(100))
    try:
        with pytest.raises(ServerTrouble, match="does not answer"):
            tried_out(stub)
    finally:
        over.set()


def void(value: object) -> None:
    """Forgets it."""


def test_a_directory_that_cannot_be_made_keeps_only_its_own_files_here(
    stub: StubServer, upload: Path, tmp_path: Path
) -> None:
    for day in ("20261120", "20261121", "20261122"):
        for number in (1, 2):
            put_file(upload, KIB, f"{day}T000000Z_{number}.pcapng")
    (stub.root / "2026-11-21").write_text("not a directory")
    service, queue = service_for(stub, upload, tmp_path, "{date}")
    assert service.upload_now() == 6
    service._step()
    left = {one.file.name: one.tries.attempts for one in queue.waiting()}
    assert left == {"20261121T000000Z_1.pcapng": 1, "20261121T000000Z_2.pcapng": 1}
    assert all("is a file on the server" in one.tries.error for one in queue.waiting())
    run = service.status().last_run
    assert run is not None
    assert (run.sent, run.failed) == (4, 2)


def test_names_in_no_known_encoding_are_no_trouble(stub: StubServer, upload: Path) -> None:
    stub.odd = frozenset({"no stat"})  # so that the directory is listed
    Path(os.fsdecode(os.fsencode(stub.root) + b"/caf\xe9")).touch()
    file, content = put_file(upload, KIB)
    assert deliver(stub, file) is not None
    assert arrived(stub)[NAME] == content


def test_an_object_store_has_no_directories_to_be_made(stub: StubServer, upload: Path) -> None:
    stub.odd = MIXTURES["object store"]
    file, content = put_file(upload, KIB)
    assert deliver(stub, file, "captures/2026") is not None
    assert (stub.root / "captures/2026" / NAME).read_bytes() == content


def test_a_drive_of_windows_is_a_directory_like_any_other(stub: StubServer, upload: Path) -> None:
    """As OpenSSH for Windows shows it; what is above cannot be made there, nor replaced by renaming."""
    stub.odd = frozenset({"no renaming over"})
    (stub.root / "C:").mkdir()
    file, content = put_file(upload, KIB)
    assert deliver(stub, file, "/C:/captures/2026") is not None
    assert (stub.root / "C:/captures/2026" / NAME).read_bytes() == content
