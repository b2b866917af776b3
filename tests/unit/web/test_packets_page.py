import pytest

from tests.unit.web.world import World

pytestmark = pytest.mark.spec("W12")


def test_a_page_behind_the_end_of_the_list_is_no_mistake_of_the_user(world: World) -> None:
    (world.device.paths.storage / "one.pcapng").write_bytes(b"")
    browser = world.user("capture")
    for page in ("1", "7", "9999"):
        answer = browser.get(f"/packets?file=one.pcapng&page={page}")
        assert answer.status_code == 503, "there is no dissector here; all else is as it should be"
        assert "does not start" in answer.text
