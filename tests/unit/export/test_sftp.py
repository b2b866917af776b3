import pytest

from allegro.export.upload_part import part_name
from allegro.storage.capture_files import numbered


@pytest.mark.spec("X3")
def test_names() -> None:
    assert part_name("a.pcapng", "allegro-mm-1234") == ".a.pcapng.allegro-mm-1234.part"
    assert [numbered("a.b.pcapng", n) for n in (1, 2, 10)] == ["a.b.pcapng", "a.b_2.pcapng", "a.b_10.pcapng"]
    assert numbered("plain", 2) == "plain_2"
