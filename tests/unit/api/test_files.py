"""Captures by the API: search and cursor, resumed downloads, archive, rename and move."""

import asyncio
import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message

from allegro.api.files import Archive, Download
from allegro.storage.zip_stream import zip_stream
from tests.unit.api.bench import Bench, make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


def complete(bench: Bench, name: str, directory: str = "storage") -> int:
    """A capture that is complete, with its file; answers with its number."""
    job_id: int = bench.call("POST", "/trigger", {}).json()["id"]
    for state in ("cutting", "complete"):
        bench.jobs.change(job_id, state=state, file=name, directory=directory)
    (bench.paths.storage / ("" if directory == "storage" else directory) / name).write_bytes(b"0123456789")
    return job_id


@pytest.mark.spec("W5", "W14")
def test_files_are_searched_by_name_and_time_and_read_on_behind_a_cursor(bench: Bench) -> None:
    for day, name in enumerate(("a_next.pcapng", "b_prev.pcapng", "c_next.pcapng"), start=1):
        file = bench.paths.storage / name
        file.write_bytes(b"x" * day)
        os.utime(file, (day * 86400, day * 86400))

    def names(query: str) -> str:
        return "".join(file["name"][0] for file in bench.get(f"/files?{query}"))

    assert (names("search=NEXT"), names("search=next%20c_"), names("search=%25")) == ("ac", "c", "")
    assert names("since=1970-01-03&until=1970-01-04T00:00:00Z") == "b"
    assert names("since=1970-01-03T01:00:00%2B02:00") == "bc"
    assert (names("order=largest"), names("order=oldest"), names("order=smallest")) == ("cba", "abc", "abc")
    first = bench.get("/files?order=largest&limit=2")
    assert names(f"order=largest&after={first[-1]['cursor']}") == "a"
    for query, place in (("after=x", "after"), ("since=yesterday", "since"), ("order=size", "order")):
        assert bench.refused(422, "GET", f"/files?{query}")["place"] == place


@pytest.mark.spec("W5")
def test_an_interrupted_download_is_resumed_unless_the_file_is_another_one(bench: Bench) -> None:
    path = bench.paths.storage / "a.pcapng"
    path.write_bytes(b"0123456789")
    whole = bench.call("GET", "/files/a.pcapng")
    assert whole.headers["accept-ranges"] == "bytes"
    rest = {"Range": "bytes=4-", "If-Range": whole.headers["etag"]}
    part = bench.call("GET", "/files/a.pcapng", headers=rest)
    assert (part.status_code, part.content) == (206, b"456789")
    assert part.headers["content-range"] == "bytes 4-9/10"
    path.write_bytes(b"another file")
    os.utime(path, (5, 5))
    again = bench.call("GET", "/files/a.pcapng", headers=rest)
    assert (again.status_code, again.content) == (200, b"another file")
    assert bench.call("GET", "/files/a.pcapng", headers={"Range": "bytes=12-"}).status_code == 416
    for odd in ("bytes=5-2", "bytes=x", "bytes", "packets=1-2", "bytes=,"):  # RFC 9110, 14.2: not there
        answer = bench.call("GET", "/files/a.pcapng", headers={"Range": odd})
        assert (answer.status_code, answer.content) == (200, b"another file"), odd


@pytest.mark.spec("W5")
def test_several_files_are_one_archive(bench: Bench) -> None:
    (bench.paths.storage / "a.pcapng").write_bytes(b"first")
    (bench.paths.upload / "b.pcapng").write_bytes(b"second")
    answer = bench.call("GET", "/archive?name=a.pcapng&name=b.pcapng&name=a.pcapng")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="captures.zip"'
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert {name: archive.read(name) for name in archive.namelist()} == {
        "a.pcapng": b"first",
        "b.pcapng": b"second",
    }
    assert bench.call("HEAD", "/archive?name=a.pcapng").status_code == 200
    assert [event["text"] for event in bench.get("/events")["events"]] == [
        "Downloaded 2 files as an archive: a.pcapng, b.pcapng"
    ]
    assert "no file c.pcapng" in bench.refused(404, "GET", "/archive?name=a.pcapng&name=c.pcapng")["message"]
    assert bench.refused(422, "GET", "/archive")["place"] == "name"
    assert bench.refused(422, "GET", "/archive?name=..%2Fsettings.json")["place"] == "name"
    many = "&".join(f"name={number}" for number in range(101))
    assert bench.refused(422, "GET", f"/archive?{many}")["place"] == "name"


@pytest.mark.spec("W5", "S7")
def test_an_archive_of_more_files_than_can_be_named_is_told_with_their_number(bench: Bench) -> None:
    names = [f"20261121T1430{number:02}Z_presenter_next_before.pcapng" for number in range(40)]
    for name in names:
        (bench.paths.storage / name).write_bytes(b"packets")
    bench.call("GET", f"/archive?{'&'.join(f'name={name}' for name in names)}")
    bench.call("GET", f"/archive?name={names[0]}")
    one, all_of_them = (event["text"] for event in bench.get("/events")["events"])
    assert one == f"Downloaded 1 file as an archive: {names[0]}"
    assert all_of_them.startswith(f"Downloaded 40 files as an archive: {names[0]}, {names[1]}")


@pytest.mark.spec("W5")
def test_a_renamed_file_is_still_that_of_its_capture(bench: Bench) -> None:
    job_id = complete(bench, "a.pcapng")
    renamed = bench.call("PATCH", "/files/a.pcapng", {"name": "call.pcapng"})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "call.pcapng")
    assert bench.get(f"/jobs/{job_id}")["file"] == "call.pcapng"
    assert bench.call("GET", "/files/call.pcapng").content == b"0123456789"
    assert "no file a.pcapng" in bench.refused(404, "PATCH", "/files/a.pcapng", {"name": "b"})["message"]
    assert [event["text"] for event in bench.get("/events")["events"]][:2] == [
        "Downloaded call.pcapng",
        "Renamed a.pcapng to call.pcapng",
    ]


@pytest.mark.spec("W5")
def test_no_file_gets_the_name_of_another_capture(bench: Bench) -> None:
    complete(bench, "a.pcapng")
    complete(bench, "b.pcapng")
    bench.call("DELETE", "/files/b.pcapng")
    refused = bench.refused(409, "PATCH", "/files/a.pcapng", {"name": "b.pcapng"})
    assert "was" in refused["message"]
    for name in ("../a", ".a", "", "\ud800"):
        assert bench.refused(422, "PATCH", "/files/a.pcapng", {"name": name})["place"] == "name"
    assert bench.refused(422, "PATCH", "/files/a.pcapng", {"size": 1})["place"] == "size"
    assert (bench.paths.storage / "a.pcapng").exists()


@pytest.mark.spec("W5", "X1")
def test_a_file_is_moved_to_the_queue_and_back(bench: Bench) -> None:
    job_id = complete(bench, "a.pcapng")
    assert bench.call("PATCH", "/files/a.pcapng", {"directory": "upload"}).json()["directory"] == "upload"
    assert [file["name"] for file in bench.get("/export")["queue"]] == ["a.pcapng"]
    assert bench.get(f"/jobs/{job_id}")["directory"] == "upload"
    assert bench.call("PATCH", "/files/a.pcapng", {"directory": "storage"}).status_code == 200
    assert bench.get("/export")["queue"] == []
    assert bench.refused(422, "PATCH", "/files/a.pcapng", {"directory": "/etc"})["place"] == "directory"
    assert bench.get("/events")["events"][0]["text"] == "Moved a.pcapng to storage"


@pytest.mark.spec("W5", "X3")
def test_uploaded_files_are_told_apart_and_nothing_becomes_one_by_hand(bench: Bench) -> None:
    bench.paths.sent.mkdir()
    (bench.paths.sent / "a.pcapng").write_bytes(b"x")
    assert [(file["name"], file["directory"]) for file in bench.get("/files")] == [("a.pcapng", "sent")]
    assert bench.get("/status")["storage"]["sent"] == 1
    (bench.paths.storage / "b.pcapng").write_bytes(b"x")
    assert bench.refused(422, "PATCH", "/files/b.pcapng", {"directory": "sent"})["place"] == "directory"
    assert bench.call("PATCH", "/files/a.pcapng", {"name": "c"}).json()["directory"] == "sent"
    assert bench.call("PATCH", "/files/c", {"directory": "storage"}).json()["directory"] == "storage"


UNREADABLE = Path("/proc/self/mem")
"""Its beginning is no memory: reading it fails (EIO), as a bad sector does."""


@pytest.mark.spec("W5")
@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
@pytest.mark.parametrize("what", ["file", "archive"])
def test_what_its_disk_does_not_give_breaks_off_and_is_told_in_the_log(
    what: str, spec_version: str, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(3600)
        raise AssertionError("nobody goes away")

    async def send(message: Message) -> None:
        sent.append(message)

    answer = Download(UNREADABLE, "a.pcapng") if what == "file" else Archive(zip_stream([UNREADABLE]))
    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": spec_version}}
    asyncio.run(answer(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start"], (
        "no end: the connection is closed"
    )
    assert "could not be sent to its end: the disk does not give it (Input/output error)" in caplog.text


@pytest.mark.spec("W5")
def test_a_file_that_is_deleted_while_it_is_downloaded_arrives(bench: Bench) -> None:
    path = bench.paths.storage / "a.pcapng"
    path.write_bytes(b"0123456789")
    download = Download(path, path.name)
    path.unlink()
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
    asyncio.run(download(scope, receive, send))
    assert b"".join(message.get("body", b"") for message in sent) == b"0123456789"
    assert (b"content-length", b"10") in sent[0]["headers"]
