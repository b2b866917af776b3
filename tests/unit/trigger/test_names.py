import pytest

from allegro.trigger.names import file_name, free_name

PRESS_NS = 1795271405_999_999_999  # 2026-11-21 14:30:05.999999999 UTC


@pytest.mark.spec("T5")
class TestNames:
    def test_time_source_key(self) -> None:
        assert file_name(PRESS_NS, "presenter", "next") == "20261121T143005Z_presenter_next.pcapng"

    def test_taken_names_are_numbered(self) -> None:
        taken: set[str] = set()
        for _ in range(4):
            taken.add(free_name(PRESS_NS, "api", "manual", taken.__contains__))
        stem = "20261121T143005Z_api_manual"
        assert taken == {f"{stem}.pcapng", f"{stem}_2.pcapng", f"{stem}_3.pcapng", f"{stem}_4.pcapng"}

    def test_a_gap_is_filled(self) -> None:
        stem = "20261121T143005Z_api_manual"
        taken = {f"{stem}.pcapng", f"{stem}_3.pcapng"}
        assert free_name(PRESS_NS, "api", "manual", taken.__contains__) == f"{stem}_2.pcapng"

    @pytest.mark.parametrize("key", ["../../etc/passwd", "a/b", "", "..", "a_b", "ü\n", "."])
    def test_nothing_leads_out_of_the_directory(self, key: str) -> None:
        name = file_name(PRESS_NS, "api", key)
        assert "/" not in name
        assert not name.startswith(".")
        assert name.count("_") == 2
        assert name.isascii()
        assert name.isprintable()

    def test_names_sort_by_time(self) -> None:
        names = [file_name(PRESS_NS + hour * 3600 * 10**9, "api", "manual") for hour in range(0, 9000, 100)]
        assert names == sorted(names)
