import pytest

from allegro.cli.text import size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1536, "1.5 kB"),
        (200 << 20, "210 MB"),
        (1 << 60, "1153 PB"),
    ],
)
def test_size(count: float | None, text: str) -> None:
    assert size(count) == text
