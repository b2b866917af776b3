"""Uploads by PUT alone, to nginx and to a server that writes in place: what can be promised holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.export.failures import FileTrouble, ServerTrouble
from allegro.export.put_way import PutWay
from allegro.export.way import TEST_FILE, Progress, Sent
from allegro.settings.model import Export
from allegro.storage.capture_files import numbered
from tests.harness.certificates import TestAuthority
from tests.harness.put_server import PutServer
from tests.harness.waiting import wait_for
from tests.harness.webdav_server import PASSWORD, USER, WebDavServer
from tests.host.sending import NAME, Kept, put_file, quiet, send_by, service, stop_at

pytestmark = [pytest.mark.spec("X6"), pytest.mark.timeout(120)]

MIB = 1 << 20
OTHERS = ("MOVE", "MKCOL", "DELETE", "PROPFIND", "COPY")
"""What WsgiDAV could do besides."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def nginx(tmp_path: Path, authority: TestAuthority) -> Iterator[PutServer]:
    signed = authority.issue("server", server=True)
    with PutServer(tmp_path / "nginx", signed.certificate, signed.key) as made:
        yield made


@pytest.fixture
def in_place(tmp_path: Path, authority: TestAuthority) -> Iterator[WebDavServer]:
    """Writes under the final name as it reads, and heeds conditions."""
    signed = authority.issue("server", server=True)
    folder = tmp_path / "server"
    folder.mkdir()
    with WebDavServer(folder, signed.certificate, signed.key) as made:
        made.before = refusing_all_but_put
        yield made


def refusing_all_but_put(method: str, _path: str) -> str | None:
    return "405 Method Not Allowed" if method in OTHERS else None


def settings(url: str, authority: TestAuthority, **more: Any) -> Export:
    login = {"username": USER, "password": PASSWORD, "certificate": authority.pem}
    there = {"protocol": "https", "url": url, "enabled": True, "directory": "."}
    return Export.model_validate({**login, **there, **more})


def send(export: Export, file: Path, progress: Progress = quiet, kept: Kept | None = None) -> Sent | None:
    return send_by(PutWay(export), export.directory, file, progress, kept)


def test_by_nginx_a_file_arrives_whole_once_and_overwrites_nothing(
    nginx: PutServer, authority: TestAuthority, tmp_path: Path
) -> None:
    export = settings(nginx.url, authority)
    (nginx.folder / NAME).write_bytes(b"of somebody else")
    for size in (0, 3 * MIB + 1):
        file, content = put_file(tmp_path, size)
        sent = send(export, file)
        assert sent is not None
        assert not file.exists()
        assert nginx.files()[sent.name] == content
        file.write_bytes(content)  # as if the power had gone before the file here was removed
        assert send(export, file) == Sent(sent.name, size, already_there=True, resumed_at=0)
    assert nginx.files()[NAME] == b"of somebody else"
    assert set(nginx.files()) == {NAME, numbered(NAME, 2), numbered(NAME, 3)}


def test_nginx_shows_no_part_and_its_test_upload_says_that_it_heeds_no_condition(
    nginx: PutServer, authority: TestAuthority, tmp_path: Path
) -> None:
    export = settings(nginx.url, authority)
    file, content = put_file(tmp_path, 3 * MIB)
    kept = Kept()
    stop_at(PutWay(export), export.directory, file, 2 * MIB, kept)
    assert nginx.files() == {}
    assert send(export, file, kept=kept) == Sent(NAME, len(content), already_there=False, resumed_at=0)
    assert nginx.files() == {NAME: content}
    result = service(tmp_path, export).test()
    assert result.file == TEST_FILE
    assert "does not heed If-None-Match" in result.message


def test_a_directory_that_is_not_there_is_told(
    nginx: PutServer, authority: TestAuthority, tmp_path: Path
) -> None:
    file, _ = put_file(tmp_path, 10)
    with pytest.raises(FileTrouble, match=r"refused to write the file \(HTTP 500\).* directory there\?"):
        send(settings(nginx.url, authority, directory="in/coming"), file)
    with pytest.raises(ServerTrouble, match="did not accept this user with this password"):
        send(settings(nginx.url, authority, password="wrong"), file)
    assert file.exists()


def test_a_part_under_the_final_name_is_written_anew_and_nothing_else_is(
    in_place: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    export = settings(in_place.url, authority)
    file, content = put_file(tmp_path, 3 * MIB)
    kept = Kept()
    stop_at(PutWay(export), export.directory, file, 2 * MIB, kept)
    wait_for(lambda: "PUT" in in_place.ended, "the server to write no more", 20)
    there = in_place.folder / NAME
    there.write_bytes(content[:MIB])
    assert send(export, file, kept=kept) == Sent(NAME, len(content), already_there=False, resumed_at=0)
    assert in_place.files() == {NAME: content}
    there.write_bytes(b"of somebody else")  # under the name that was noted, and no beginning of this file
    file.write_bytes(content)
    assert send(export, file, kept=kept) == Sent(
        numbered(NAME, 2), len(content), already_there=False, resumed_at=0
    )
    assert in_place.files() == {NAME: b"of somebody else", numbered(NAME, 2): content}


def test_a_name_that_is_taken_after_the_look_is_left_alone(
    in_place: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 10)

    def take(method: str, _path: str) -> None:
        if method == "PUT":
            (in_place.folder / NAME).write_bytes(b"of somebody else")
            in_place.before = refusing_all_but_put

    in_place.before = take
    sent = send(settings(in_place.url, authority), file)
    assert sent == Sent(numbered(NAME, 2), 10, already_there=False, resumed_at=0)
    assert in_place.files() == {NAME: b"of somebody else", numbered(NAME, 2): content}


def test_a_name_that_somebody_has_just_taken_is_not_remembered_as_ours(
    in_place: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 10)
    there = in_place.folder / NAME
    kept = Kept()
    kept.text = NAME  # an earlier try was about to give it

    def take(method: str, path: str) -> str | None:
        if method == "PUT" and not there.exists():
            there.write_bytes(b"other bits")
        return "403 Forbidden" if method == "GET" else refusing_all_but_put(method, path)

    in_place.before = take
    sent = send(settings(in_place.url, authority), file, kept=kept)
    assert sent == Sent(numbered(NAME, 2), 10, already_there=False, resumed_at=0)
    assert in_place.files() == {NAME: b"other bits", numbered(NAME, 2): content}


def test_the_test_upload_of_a_server_that_refuses_a_second_file_of_a_name_says_nothing_of_overwriting(
    in_place: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    def once(method: str, path: str) -> str | None:
        second = method == "PUT" and bool(in_place.files())
        return "403 Forbidden" if second else refusing_all_but_put(method, path)

    in_place.before = once
    result = service(tmp_path, settings(in_place.url, authority)).test()
    assert result.accepted
    assert "overwritten" not in result.message


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("413 Content Too Large", r"takes no file of this size \(HTTP 413\)\. Have its limit raised"),
        ("503 Service Unavailable", r"refused to write the file \(HTTP 503\)\. It is tried again by itself"),
        ("403 Forbidden", r"refused to write the file \(HTTP 403\)\. Check the directory"),
    ],
)
def test_what_a_refusal_is_about_is_told(
    in_place: WebDavServer, authority: TestAuthority, tmp_path: Path, status: str, words: str
) -> None:
    file, _ = put_file(tmp_path, 10)
    in_place.before = lambda method, _path: status if method == "PUT" else None
    with pytest.raises(FileTrouble, match=words):
        send(settings(in_place.url, authority), file)
    assert file.exists()


def test_the_test_upload_of_a_server_that_heeds_conditions_has_no_complaint_about_that(
    in_place: WebDavServer, authority: TestAuthority, tmp_path: Path
) -> None:
    made = service(tmp_path, settings(in_place.url, authority))
    result = made.test()
    assert (result.accepted, result.file) == (True, TEST_FILE)
    assert "If-None-Match" not in result.message
    assert "a part of it may be seen under its final name" in result.message
