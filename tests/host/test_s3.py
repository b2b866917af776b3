"""Uploads to S3-compatible storage: once and whole, whatever breaks; the reasons that are told."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from allegro.export import s3_parts
from allegro.export.failures import FileTrouble, ServerTrouble
from allegro.export.s3_way import S3Way
from allegro.export.way import TEST_FILE, Progress, Sent
from allegro.settings.model import Export
from allegro.storage.capture_files import numbered
from tests.harness.certificates import TestAuthority
from tests.harness.s3_server import KEY, REGION, SECRET, S3Server
from tests.harness.waiting import wait_for
from tests.host.sending import DEVICE, NAME, Kept, put_file, quiet, send_by, service, stop_at

pytestmark = [pytest.mark.spec("X6"), pytest.mark.timeout(120)]

MIB = 1 << 20
PART = 5 * MIB
"""The least that storage takes."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: TestAuthority, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    monkeypatch.setattr(s3_parts, "PART", PART)
    signed = authority.issue("server", server=True)
    with S3Server(signed.certificate, signed.key) as made:
        yield made
    made.close()


@pytest.fixture
def export(server: S3Server, authority: TestAuthority) -> Export:
    return settings(server, authority)


def settings(server: S3Server, authority: TestAuthority, **more: Any) -> Export:
    login = {"username": KEY, "password": SECRET, "region": REGION, "certificate": authority.pem}
    there = {"protocol": "s3", "url": server.url, "enabled": True, "directory": "."}
    return Export.model_validate({**login, **there, **more})


def send(export: Export, file: Path, progress: Progress = quiet, kept: Kept | None = None) -> Sent | None:
    return send_by(S3Way(export), export.directory, file, progress, kept)


@pytest.mark.parametrize("size", [0, 1, PART, 2 * PART + 1])
def test_a_file_arrives_whole_and_goes_here(
    server: S3Server, export: Export, tmp_path: Path, size: int
) -> None:
    file, content = put_file(tmp_path, size)
    assert send(export, file) == Sent(NAME, size, already_there=False, resumed_at=0)
    assert server.files() == {NAME: content}
    assert server.uploads() == []
    assert not file.exists()


def test_a_directory_is_a_part_of_the_name(
    server: S3Server, authority: TestAuthority, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 10)
    send(settings(server, authority, directory="in coming/ü+=~/2026-11-21"), file)
    assert server.files() == {f"in coming/ü+=~/2026-11-21/{NAME}": content}


@pytest.mark.parametrize("size", [1000, PART + 1])
def test_nothing_is_overwritten_and_nothing_is_sent_twice(
    server: S3Server, export: Export, tmp_path: Path, size: int
) -> None:
    other = os.urandom(size)
    server.put(NAME, other)
    file, content = put_file(tmp_path, size)
    sent = send(export, file)
    assert sent is not None
    assert server.files() == {NAME: other, sent.name: content}
    file.write_bytes(content)  # as if the power had gone before the file here was removed
    assert send(export, file) == Sent(sent.name, size, already_there=True, resumed_at=0)
    assert server.files() == {NAME: other, sent.name: content}


@pytest.mark.parametrize("size", [1000, PART + 1])
def test_a_name_that_is_taken_after_the_look_is_left_alone(
    server: S3Server, export: Export, tmp_path: Path, size: int
) -> None:
    file, content = put_file(tmp_path, size)

    def take(method: str, _path: str) -> None:
        if method in ("PUT", "POST"):
            server.put(NAME, b"of somebody else")
            server.before = lambda _method, _path: None

    server.before = take
    assert send(export, file) == Sent(numbered(NAME, 2), size, already_there=False, resumed_at=0)
    assert server.files() == {NAME: b"of somebody else", numbered(NAME, 2): content}
    assert server.uploads() == []


@pytest.mark.parametrize(("place", "there"), [(0, 0), (PART - MIB, 0), (PART, PART), (2 * PART, 2 * PART)])
def test_what_breaks_off_goes_on_at_a_part_and_is_seen_by_nobody(
    server: S3Server, export: Export, tmp_path: Path, place: int, there: int
) -> None:
    file, content = put_file(tmp_path, 2 * PART + 10)
    kept = Kept()
    stop_at(S3Way(export), export.directory, file, place, kept)
    assert (file.exists(), server.files(), server.uploads()) == (True, {}, [NAME])
    assert send(export, file, kept=kept) == Sent(NAME, len(content), already_there=False, resumed_at=there)
    assert server.files() == {NAME: content}
    assert server.uploads() == []


def test_parts_of_another_content_are_sent_anew(server: S3Server, export: Export, tmp_path: Path) -> None:
    file, _ = put_file(tmp_path, 2 * PART)
    kept = Kept()
    stop_at(S3Way(export), export.directory, file, PART, kept)
    file, content = put_file(tmp_path, 2 * PART)
    assert send(export, file, kept=kept) == Sent(NAME, len(content), already_there=False, resumed_at=0)
    assert server.files() == {NAME: content}


def test_parts_that_the_storage_has_thrown_away_begin_anew(
    server: S3Server, export: Export, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 2 * PART)
    kept = Kept()
    stop_at(S3Way(export), export.directory, file, PART, kept)
    server.forget_uploads()
    assert send(export, file, kept=kept) == Sent(NAME, len(content), already_there=False, resumed_at=0)
    assert server.files() == {NAME: content}


def test_what_is_deleted_here_meanwhile_leaves_nothing_there(
    server: S3Server, export: Export, tmp_path: Path
) -> None:
    for size in (1000, 2 * PART):
        file, _ = put_file(tmp_path, size)

        def delete(step: str, _done: int, _size: int, file: Path = file) -> None:
            if step == "sending":
                file.unlink(missing_ok=True)

        assert send(export, file, delete) is None
        assert (server.files(), server.uploads()) == ({}, [])


@pytest.mark.parametrize("size", [1000, PART + 1])
def test_a_lost_answer_costs_no_second_copy(
    server: S3Server, export: Export, tmp_path: Path, size: int
) -> None:
    file, content = put_file(tmp_path, size)
    kept = Kept()
    last = "PUT" if size < PART else "POST"
    asked: list[str] = []

    def lose(method: str, _path: str) -> str | None:
        asked.append(method)
        return "503 Slow Down" if method == last and NAME in server.files() else None

    server.after = lose
    with pytest.raises(FileTrouble, match=r"refused to (write|put the parts of) the file .*\(HTTP 503\)"):
        send(export, file, kept=kept)
    server.after = lambda _method, _path: None
    assert send(export, file, kept=kept) == Sent(NAME, size, already_there=True, resumed_at=0)
    assert server.files() == {NAME: content}
    assert server.uploads() == []


def test_who_may_not_read_knows_his_own_file_by_what_was_noted(
    server: S3Server, export: Export, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 1000)
    kept = Kept()
    server.after = lambda method, path: "503 Slow Down" if NAME in server.files() else None
    with pytest.raises(FileTrouble):
        send(export, file, kept=kept)
    server.after = lambda method, path: "403 Forbidden" if method == "GET" and path.endswith(NAME) else None
    server.hides = frozenset({"etag"})
    assert send(export, file, kept=kept) is not None
    assert server.files() == {NAME: content}


def test_what_is_given_up_while_the_storage_is_away_is_thrown_away_with_the_next_upload(
    server: S3Server, authority: TestAuthority, tmp_path: Path
) -> None:
    made = service(tmp_path, settings(server, authority, directory="{date}"))
    put_file(tmp_path / "upload", 2 * PART)
    server.before = lambda _method, _path: "503 Slow Down" if server.parts() else None
    made.upload_now()
    made._step()
    assert server.uploads() == [f"2026-11-21/{NAME}"]
    made.delete(NAME)
    server.before = lambda _method, _path: None
    _, content = put_file(tmp_path / "upload", 10, "other.pcapng")
    again = service(tmp_path, settings(server, authority, directory="{date}"))
    again.upload_now()
    again._step()
    assert server.uploads() == []
    assert [*server.files().values()] == [content]


def test_an_upload_in_parts_whose_id_was_lost_is_thrown_away_and_no_other(
    server: S3Server, export: Export, tmp_path: Path
) -> None:
    file, content = put_file(tmp_path, 2 * PART)
    kept = Kept()
    server.begin(f"{NAME}.of-somebody-else")
    server.after = lambda method, _path: "503 Slow Down" if method == "POST" else None
    with pytest.raises(FileTrouble, match="refused to begin an upload in parts"):
        send(export, file, kept=kept)
    assert server.uploads() == [f"{NAME}.of-somebody-else", NAME]
    server.after = lambda _method, _path: None
    assert send(export, file, kept=kept) == Sent(NAME, len(content), already_there=False, resumed_at=0)
    assert server.uploads() == [f"{NAME}.of-somebody-else"]
    assert server.files() == {NAME: content}


WRONG = {
    "key": ({"username": "AKIAOTHER"}, "did not accept this access key"),
    "secret": ({"password": "wrong"}, "did not accept this access key"),
    "region": ({"region": "us-east-1"}, "wants another region"),
    "certificate": ({"certificate": ""}, "certificate is not trusted"),
    "port": ({"url": "https://localhost:1/captures"}, "refused the connection"),
}


@pytest.mark.parametrize("case", WRONG)
def test_who_is_not_let_in_or_not_trusted_sends_nothing(
    server: S3Server, authority: TestAuthority, tmp_path: Path, case: str
) -> None:
    wrong, words = WRONG[case]
    file, _ = put_file(tmp_path, 10)
    with pytest.raises(ServerTrouble, match=words):
        send(settings(server, authority, **wrong), file)
    assert file.exists()
    assert server.files() == {}


def test_a_bucket_that_is_not_there_is_told(
    server: S3Server, authority: TestAuthority, tmp_path: Path
) -> None:
    file, _ = put_file(tmp_path, 10)
    with pytest.raises(ServerTrouble, match="no bucket of this name"):
        send(settings(server, authority, url=f"{server.origin}/none"), file)
    server.before = lambda _method, _path: "200 OK"
    with pytest.raises(ServerTrouble, match="This is no bucket of S3-compatible storage"):
        send(settings(server, authority), file)


def test_the_test_upload_goes_both_ways_of_a_capture(
    server: S3Server, authority: TestAuthority, tmp_path: Path
) -> None:
    made = service(tmp_path, settings(server, authority, directory="a/{device}"))
    asked: list[str] = []
    server.before = lambda method, _path: asked.append(method)
    for _ in range(2):
        result = made.test()
        assert (result.accepted, result.file) == (True, f"a/{DEVICE}/{TEST_FILE}")
        assert result.message == f"The test file was written: a/{DEVICE}/{TEST_FILE}."
    assert {"POST", "PUT", "GET", "HEAD", "DELETE"} <= set(asked)
    assert [*server.files()] == [f"a/{DEVICE}/{TEST_FILE}"]
    assert server.uploads() == []


def test_the_test_upload_says_what_the_storage_does_not_do(
    server: S3Server, authority: TestAuthority, tmp_path: Path
) -> None:
    made = service(tmp_path, settings(server, authority))
    server.heeds_conditions = False
    server.before = lambda method, _path: "403 Forbidden" if method == "DELETE" else None
    message = made.test().message
    assert "does not heed If-None-Match" in message
    assert "forgets no parts" in message


@pytest.mark.parametrize("size", [1000, PART + 1])
def test_storage_that_knows_no_conditions_gets_files_all_the_same_and_that_is_told(
    server: S3Server, export: Export, tmp_path: Path, size: int
) -> None:
    server.knows_conditions = False
    file, content = put_file(tmp_path, size)
    assert send(export, file) == Sent(NAME, size, already_there=False, resumed_at=0)
    assert server.files() == {NAME: content}
    assert "does not heed If-None-Match" in service(tmp_path, export).test().message


def test_the_queue_is_sent_and_goes_on_after_a_restart(
    server: S3Server, authority: TestAuthority, tmp_path: Path
) -> None:
    made = service(tmp_path, settings(server, authority, directory="{date}", immediately=True))
    content = os.urandom(2 * PART + 10)
    (tmp_path / "upload" / NAME).write_bytes(content)
    server.before = lambda _method, _path: "503 Slow Down" if server.parts() == 2 else None
    made.start()
    try:
        wait_for(lambda: any(each.tries.attempts for each in made.status().queue), "the try to fail", 30)
    finally:
        made.stop()
    assert server.files() == {}
    puts: list[str] = []
    server.before = lambda method, _path: puts.append(method) if method == "PUT" else None
    again = service(tmp_path, settings(server, authority, directory="{date}", immediately=True))
    again.upload_now()
    again.start()
    try:
        wait_for(lambda: not again.status().queue and again.status().running is None, "all to be sent", 30)
    finally:
        again.stop()
    assert server.files() == {f"2026-11-21/{NAME}": content}
    assert puts == ["PUT"]
