import pytest
from paramiko import SFTPAttributes

from allegro.export.directories import date_of, expanded, make_directory
from allegro.export.sftp_client import SftpClient

pytestmark = pytest.mark.spec("X5")


@pytest.mark.parametrize(
    ("typed", "path"),
    [
        (".", "."),
        ("incoming", "incoming"),
        ("/srv/incoming", "/srv/incoming"),
        ("~", "."),
        ("~/", "."),
        ("~/captures/2026", "captures/2026"),
        ("~other/captures", "~other/captures"),
        ("a~/b", "a~/b"),
        ("in/{device}/{date}", "in/allegro-mm-1234/2026-11-21"),
        ("~/{device}", "allegro-mm-1234"),
        ("{other}{", "{other}{"),
        ("C:\\captures", "C:\\captures"),
    ],
)
def test_a_directory_is_asked_for_as_it_is_meant(typed: str, path: str) -> None:
    assert expanded(typed, "allegro-mm-1234", "2026-11-21") == path


def test_the_day_is_that_of_the_capture_at_each_try() -> None:
    later = 1_800_000_000 * 10**9
    assert date_of("20261121T143005Z_presenter_next.pcapng", later) == "2026-11-21"
    assert date_of("notes.txt", later) == "2027-01-15"


class Empty(SftpClient):
    """A session without a server, which has nothing yet, not even a root."""

    def __init__(self) -> None:
        self.made: list[bytes | str] = []

    def stat(self, path: bytes | str) -> SFTPAttributes:
        raise FileNotFoundError

    def mkdir(self, path: bytes | str, mode: int = 0o777) -> None:
        self.made.append(path)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("typed", ["/a/b", "//a/b", "///a/b/"])
def test_the_parents_end_at_the_root_however_many_slashes_it_has(typed: str) -> None:
    server = Empty()
    make_directory(server, typed)
    assert server.made == ["/a", "/a/b"]
