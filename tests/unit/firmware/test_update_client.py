import hashlib
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.errors import Conflict, InvalidInput, NotFound, Unavailable
from allegro.firmware import update_client as module
from allegro.firmware.release_index import NAME, Offer
from allegro.firmware.update_client import Server, Stopped
from tests.harness.certificates import TestAuthority
from tests.harness.update_server import UpdateServer

CONTENT = random.Random(7).randbytes(3_000_000)
OFFER = Offer("2.0.0", "a.raucb", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "", "")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def far(tmp_path: Path, authority: TestAuthority, monkeypatch: pytest.MonkeyPatch) -> Iterator[UpdateServer]:
    monkeypatch.setattr(module, "_PAUSES_S", (0.01, 0.01))
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / OFFER.file).write_bytes(CONTENT)
    with UpdateServer(folder, authority.issue("server", server=True).chain) as running:
        yield running


@pytest.fixture
def near(far: UpdateServer, authority: TestAuthority) -> Iterator[Server]:
    made = Server(f"https://127.0.0.1:{far.port}", authority.pem)
    yield made
    made.close()


def fetch(near: Server, target: Path, offer: Offer = OFFER) -> list[float]:
    seen: list[float] = []
    near.download(offer, target, seen.append, threading.Event())
    return seen


@pytest.mark.spec("U2")
def test_a_download_tells_its_progress(near: Server, tmp_path: Path) -> None:
    seen = fetch(near, tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.spec("U2")
def test_interrupted_again_and_again_it_goes_on_where_it_was(
    near: Server, far: UpdateServer, tmp_path: Path
) -> None:
    far.break_after = 700_000
    fetch(near, tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == CONTENT
    assert [int(each.rpartition("=")[2][:-1]) for each in far.requests[1:]] == [
        700_000,
        1_400_000,
        2_100_000,
        2_800_000,
    ]


def test_a_server_without_ranges_sends_all_again(near: Server, far: UpdateServer, tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"x" * 1000)
    far.ranges = False
    fetch(near, tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == CONTENT


def test_what_has_arrived_stays_when_the_server_fails_for_good(
    near: Server, far: UpdateServer, tmp_path: Path
) -> None:
    far.break_after = 0
    (tmp_path / "t").write_bytes(CONTENT[:1000])
    with pytest.raises(Unavailable, match="cannot be used"):
        fetch(near, tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == CONTENT[:1000]
    assert len(far.requests) == 3


def test_it_can_be_stopped(near: Server, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        near.download(OFFER, tmp_path / "t", lambda _: None, stop)


@pytest.mark.parametrize(
    "offer",
    [
        replace(OFFER, sha256="0" * 64),
        replace(OFFER, size=OFFER.size - 1),
        replace(OFFER, size=OFFER.size + 1),
    ],
)
def test_other_contents_than_promised_are_deleted(near: Server, tmp_path: Path, offer: Offer) -> None:
    with pytest.raises(InvalidInput):
        fetch(near, tmp_path / "t", offer)
    assert not (tmp_path / "t").exists()


def test_a_disk_that_refuses_is_told_in_plain_words(near: Server, tmp_path: Path) -> None:
    (tmp_path / "t").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match=rf"^{OFFER.file} cannot be stored: \w"):
        fetch(near, tmp_path / "t")
    assert not (tmp_path / "t").is_symlink()


def test_a_file_that_has_shrunk_on_the_server(near: Server, far: UpdateServer, tmp_path: Path) -> None:
    (far.folder / OFFER.file).write_bytes(CONTENT[:500])
    (tmp_path / "t").write_bytes(CONTENT[:1000])
    with pytest.raises(InvalidInput, match="another size"):
        fetch(near, tmp_path / "t")


def test_the_index(near: Server, far: UpdateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound, match="no index"):
        near.index()
    (far.folder / NAME).write_bytes(b"signed")
    assert near.index() == b"signed"
    monkeypatch.setattr(module, "LARGEST", 5)
    with pytest.raises(InvalidInput, match="too large"):
        near.index()


def test_a_server_that_nobody_vouches_for_is_not_used(far: UpdateServer, tmp_path: Path) -> None:
    for certificate in ("", TestAuthority(tmp_path / "other").pem):
        stranger = Server(f"https://127.0.0.1:{far.port}/", certificate)
        with pytest.raises(Unavailable, match="not trusted"):
            stranger.index()
        stranger.close()
    assert far.requests == []


def test_nothing_there_and_nothing_set(authority: TestAuthority) -> None:
    with pytest.raises(Conflict, match="No update server"):
        Server("")
    with pytest.raises(InvalidInput):
        Server("https://127.0.0.1/", "no certificate")
    lonely = Server("https://127.0.0.1:1/", authority.pem)
    with pytest.raises(Unavailable, match="cannot be used"):
        lonely.index()
    lonely.close()
