import pytest

from allegro.cli.text import size


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "-"),
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (200 << 20, "200 MiB"),
        (1 << 60, "1024 PiB"),
    ],
)
def test_size(count: float | None, text: str) -> None:
    assert size(count) == text
