"""Uploads by WebDAV to a real server: once and whole, whatever breaks; the reasons that are told."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import AllegroError
from allegro.export import http_files
from allegro.export.dav_way import DavWay
from allegro.export.failures import FileTrouble, ServerTrouble, UploadStopped
from allegro.export.http_files import CHUNK
from allegro.export.way import TEST_FILE, Progress, Sent
from allegro.settings.model import Export
from allegro.storage.capture_files import numbered
from tests.harness.certificates import TestAuthority
from tests.harness.waiting import wait_for
from tests.harness.webdav_server import PASSWORD, USER, WebDavServer
from tests.host.sending import DEVICE, NAME, Kept, put_file, quiet, send_by, service, stop_at

pytestmark = [pytest.mark.spec("X6"), pytest.mark.timeout(120)]

PART = f".{NAME}.allegro-mm-1234.partial"
MIB = 1 << 20


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(tmp_path: Path, authority: TestAuthority) -> Iterator[WebDavServer]:
    signed = authority.issue("server", server=True)
    folder = tmp_path / "server"
    folder.mkdir()
    with WebDavServer(folder, signed.certificate, signed.key) as made:
        yield made


@pytest.fixture
def export(server: WebDavServer, authority: TestAuthority) -> Export:
    return settings(server, authority)


def settings(server: WebDavServer, authority: TestAuthority, **more: Any) -> Export:
    login = {"username": USER, "password": PASSWORD, "certificate": authority.pem}
    there = {"protocol": "webdav", "url": server.url, "enabled": True, "directory": "."}
    return Export.model_validate({**login, **there, **more})


def send(export: Export, file: Path, progress: Progress = quiet, kept: Kept | None = None) -> Sent | None:
    return send_by(DavWay(export, DEVICE), export.directory, file, progress, kept)


@pytest.mark.parametrize("size", [0, 1, CHUNK, 3 * MIB + 1])
def test_a_file_arrives_whole_and_goes_here(
    server: WebDavServer, export: Export, tmp_path: Path, size: int
) -> None:
    file, content = put_file(tmp_path, size)
    steps: list[str] = []
    sent = send(export, file, lambda step, _done, _size: steps.append(step))
    assert sent == Sent(NAME, size, already_there=False, resumed_at=0)
    assert server.files() == {NAME: content}
    assert not file.exists()
    assert (
        list(dict.fromkeys(steps)) == [*("looking", "sending", "checking", "renaming", "removing", "done")]
        or size == 0
    )


def test_directories_are_made_where_they_are_missing(
    server: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    directory = "in coming/ü/2026-11-21"
    for _ in range(2):
        file, _content = put_file(tmp_path, 10)
        send(settings(server, authority, directory=directory), file)
    assert set(server.files()) == {f"{directory}/{name}" for name in (NAME, numbered(NAME, 2))}


def test_nothing_on_the_server_is_overwritten_and_nothing_is_sent_twice(
    server: WebDavServer, export: Export, tmp_path: Path
) -> None:
    other = os.urandom(MIB)
    (server.folder / NAME).write_bytes(other)
    file, content = put_file(tmp_path, MIB)
    sent = send(export, file)
    assert sent is not None
    assert server.files() == {NAME: other, sent.name: content}
    file.write_bytes(content)  # as if the power had gone before the file here was removed
    again = send(export, file)
    assert again == Sent(sent.name, MIB, already_there=True, resumed_at=0)
    assert server.files() == {NAME: other, sent.name: content}
    assert not file.exists()


def test_an_upload_that_is_stopped_begins_anew_and_leaves_no_part(
    server: WebDavServer, export: Export, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 3 * MIB)

    stop_at(DavWay(export, DEVICE), export.directory, file, MIB)
    assert file.exists()
    assert NAME not in server.files()
    send(export, file)
    assert server.files() == {NAME: content}


def test_a_move_whose_answer_is_lost_is_known_by_its_content(
    server: WebDavServer, export: Export, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, MIB)
    server.after = lambda method, _path: "502 Bad Gateway" if method == "MOVE" else None
    with pytest.raises(FileTrouble, match="refused to give the file its final name"):
        send(export, file)
    server.after = lambda _method, _path: None
    sent = send(export, file)
    assert sent == Sent(NAME, MIB, already_there=True, resumed_at=0)
    assert server.files() == {NAME: content}


def test_a_name_that_is_taken_just_before_the_move_is_left_alone(
    server: WebDavServer, export: Export, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 10)

    def take(method: str, _path: str) -> None:
        if method == "MOVE":
            (server.folder / NAME).write_bytes(b"of somebody else")
            server.before = lambda _method, _path: None

    server.before = take
    sent = send(export, file)
    assert sent is not None
    assert server.files() == {NAME: b"of somebody else", sent.name: content}


REFUSALS = {
    "full": ("PUT", "507 Insufficient Storage", "The disk of the server is full"),
    "no right": ("PUT", "403 Forbidden", r"refused to write the file \(HTTP 403\)"),
    "no WebDAV": ("MOVE", "405 Method Not Allowed", "does not know how to give the file its final name"),
    "broken": ("PUT", "500 Internal Server Error", r"refused to write the file \(HTTP 500\)"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_a_server_refuses_is_told_and_the_file_stays(
    server: WebDavServer, export: Export, tmp_path: Path, case: str
) -> None:
    refused, status, words = REFUSALS[case]
    file, content = put_file(tmp_path, MIB)
    server.before = lambda method, _path: status if method == refused else None
    with pytest.raises(FileTrouble, match=words):
        send(export, file)
    assert file.read_bytes() == content
    assert NAME not in server.files()


def test_a_part_that_is_not_whole_gets_no_final_name(
    server: WebDavServer, export: Export, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, MIB)

    def cut(method: str, _path: str) -> None:
        if method == "PUT":
            os.truncate(server.folder / PART, MIB // 2)

    server.after = cut
    with pytest.raises(FileTrouble, match="not the whole file"):
        send(export, file)
    assert file.read_bytes() == content
    assert NAME not in server.files()


def test_a_server_that_shows_every_name_is_no_webdav_directory(
    server: WebDavServer, export: Export, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 10)
    server.before = lambda _method, _path: "200 OK"
    with pytest.raises(ServerTrouble, match="no directory of a WebDAV server"):
        send(export, file)
    assert file.read_bytes() == content


def test_the_look_for_a_free_name_ends_and_can_be_stopped(
    server: WebDavServer, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, content = put_file(tmp_path, 10)
    monkeypatch.setattr(http_files, "NAMES", 5)
    asked: list[str] = []

    def taken(method: str, path: str) -> str | None:
        asked.append(path)
        return "200 OK" if method == "HEAD" and "presenter" in path else None

    def stop(step: str, _done: int, _size: int) -> None:
        if step == "looking" and len(asked) > 3:
            raise UploadStopped

    server.before = taken
    with pytest.raises(UploadStopped):
        send(export, file, stop)
    with pytest.raises(FileTrouble, match="each of the 5 names"):
        send(export, file)
    assert file.read_bytes() == content


def test_a_file_whose_size_the_server_does_not_tell_is_compared(
    server: WebDavServer, export: Export, tmp_path: Path
) -> None:
    server.hides = frozenset({"content-length"})
    file, content = put_file(tmp_path, MIB)
    assert send(export, file) == Sent(NAME, MIB, already_there=False, resumed_at=0)
    file.write_bytes(content)
    assert send(export, file) == Sent(NAME, MIB, already_there=True, resumed_at=0)
    assert server.files() == {NAME: content}
    file.write_bytes(content[:-1])
    server.after = lambda method, _path: "403 Forbidden" if method == "GET" else None
    with pytest.raises(FileTrouble, match="does not say how much of the file arrived"):
        send(export, file)
    assert file.exists()


def test_who_is_not_let_in_or_not_trusted_sends_nothing(
    server: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    file, _ = put_file(tmp_path, 10)
    for wrong, words in (
        ({"password": "wrong"}, "did not accept this user with this password"),
        ({"certificate": ""}, "certificate is not trusted"),
        ({"url": "https://localhost:1/dav"}, "refused the connection"),
        ({"url": "https://nowhere.invalid/dav"}, "could not be resolved"),
    ):
        with pytest.raises(ServerTrouble, match=words):
            send(settings(server, authority, **wrong), file)
    assert file.exists()
    assert server.files() == {}


def test_the_test_upload_goes_the_whole_way(
    server: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    made = service(tmp_path, settings(server, authority, directory="a/{device}"))
    asked: list[str] = []
    server.before = lambda method, _path: asked.append(method)
    for _ in range(2):
        result = made.test()
        assert (result.accepted, result.file) == (True, f"a/{DEVICE}/{TEST_FILE}")
    assert {"MKCOL", "PUT", "HEAD", "MOVE", "DELETE"} <= set(asked)
    assert [*server.files()] == [f"a/{DEVICE}/{TEST_FILE}"]
    assert result.message.startswith(f"The test file was written: a/{DEVICE}/{TEST_FILE}.")
    server.before = lambda method, _path: "405 Method Not Allowed" if method == "MOVE" else None
    with pytest.raises(AllegroError, match="does not know how to give the file its final name"):
        made.test()


def test_the_queue_is_sent_and_told_of(
    server: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    made = service(tmp_path, settings(server, authority, directory="{date}", immediately=True))
    contents = {f"20261121T14300{number}Z_presenter_next.pcapng": os.urandom(1000) for number in range(5)}
    for name, content in contents.items():
        (tmp_path / "upload" / name).write_bytes(content)
    made.start()
    try:
        wait_for(lambda: not made.status().queue and made.status().running is None, "all to be sent", 30)
    finally:
        made.stop()
    assert server.files() == {f"2026-11-21/{name}": content for name, content in contents.items()}
    assert made.status().problem == ""
