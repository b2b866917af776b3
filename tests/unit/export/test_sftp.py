import pytest

from allegro.export.upload_part import part_name
from allegro.storage.capture_files import numbered


@pytest.mark.spec("X3")
def test_names() -> None:
    assert part_name("a.pcapng", "allegro-mm-1234") == ".a.pcapng.allegro-mm-1234.part"
    assert [numbered("a.b.pcapng", n) for n in (1, 2, 10)] == ["a.b.pcapng", "a.b_2.pcapng", "a.b_10.pcapng"]
    assert numbered("plain", 2) == "plain_2"


@pytest.mark.spec("X3")
def test_no_name_is_longer_than_servers_take() -> None:
    """As long as a file can be called here: the server would take neither its part nor a second one."""
    long, other = ("ä" * 123 + each + ".pcapng" for each in "ab")
    parts = [part_name(name, "allegro-mm-1234") for name in (long, other)]
    assert len({*parts}) == 2
    assert all(part.endswith(".allegro-mm-1234.part") for part in parts)
    assert part_name(long, "allegro-mm-1234") == parts[0]
    for name in (*parts, numbered(long, 2), numbered("x" * 255, 100)):
        assert 250 <= len(name.encode()) <= 255
    assert numbered(long, 2).endswith("ä_2.pcapng")
