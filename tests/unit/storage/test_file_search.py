import base64
import json

import pytest

from allegro.errors import InvalidInput
from allegro.storage.capture_files import FileInfo
from allegro.storage.file_search import Directory, Listed, Order, Search, part, search_words


def listed(name: str, size: int = 0, modified_ns: int = 0, directory: Directory = "storage") -> Listed:
    return Listed(FileInfo(name, size, modified_ns), directory)


FILES = [listed("b", 3, 30), listed("a", 3, 10), listed("C", 1, 20), listed("a", 2, 10, "upload")]

ORDERS: dict[Order, str] = {
    "name": "Caab",
    "newest": "bCaa",
    "oldest": "aaCb",
    "largest": "abaC",
    "smallest": "Caab",
}

NO_PLACES: list[object] = [1, [], ["a", "storage", 1], ["a", "storage", "1", 1], ["a", "/etc", 1, 1], {}]


@pytest.mark.spec("W5", "W14")
class TestParts:
    @pytest.mark.parametrize(("order", "names"), ORDERS.items())
    def test_each_order_is_the_same_whatever_came_in(self, order: Order, names: str) -> None:
        found = part(FILES, Search(), order)
        assert "".join(one.file.name for one in found) == names
        assert part(reversed(FILES), Search(), order) == found

    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize("limit", [1, 2, 3])
    def test_parts_read_one_after_the_other_are_the_whole(self, order: Order, limit: int) -> None:
        read: list[Listed] = []
        while got := part(FILES, Search(), order, after=read[-1].cursor if read else "", limit=limit):
            read += got
        assert read == part(FILES, Search(), order)

    def test_what_comes_and_goes_meanwhile_shifts_nothing(self) -> None:
        first = part(FILES, Search(), "newest", limit=2)
        now = [listed("new", 1, 99), *(one for one in FILES if one not in first)]
        rest = part(now, Search(), "newest", after=first[-1].cursor)
        assert [one.file.name for one in rest] == ["a", "a"]

    @pytest.mark.parametrize(
        "cursor",
        [
            "x",
            "é",
            "====",
            *(base64.urlsafe_b64encode(json.dumps(value).encode()).decode() for value in NO_PLACES),
            base64.urlsafe_b64encode(b"[" * 1500).decode(),
        ],
    )
    def test_what_is_no_cursor_is_told(self, cursor: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            part(FILES, Search(), "name", after=cursor)
        assert caught.value.place == "after"


@pytest.mark.spec("W5")
class TestSearch:
    @pytest.mark.parametrize(
        ("text", "fits"),
        [
            ("", True),
            ("PRESENTER", True),
            ("next 20261121", True),
            ("next 2027", False),
            ("*", False),
        ],
    )
    def test_all_words_occur_in_the_name(self, text: str, fits: bool) -> None:
        file = FileInfo("20261121T143005Z_presenter_next.pcapng", 1, 1)
        assert Search(search_words(text)).fits(file) is fits

    @pytest.mark.parametrize(("modified_ns", "fits"), [(9, False), (10, True), (19, True), (20, False)])
    def test_times_are_from_and_before(self, modified_ns: int, fits: bool) -> None:
        assert Search((), 10, 20).fits(FileInfo("a", 1, modified_ns)) is fits
