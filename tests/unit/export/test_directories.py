import pytest

from allegro.export.directories import date_of, expanded

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
