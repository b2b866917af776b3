from typing import Any

import pytest

from allegro.web.backend import Asker, Backend
from tests.unit.web.world import World

pytestmark = pytest.mark.spec("W12")


def test_a_page_behind_the_end_of_the_list_is_no_mistake_of_the_user(world: World) -> None:
    (world.device.paths.storage / "one.pcapng").write_bytes(b"")
    browser = world.user("capture")
    for page in ("1", "7", "9999"):
        answer = browser.get(f"/packets?file=one.pcapng&page={page}")
        assert answer.status_code == 503, "there is no dissector here; all else is as it should be"
        assert "does not start" in answer.text


def test_with_packets_left_out_it_is_told_from_where_the_dissectors_own_numbers_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dissector reads what is shown and nothing before it: its frame 5 is packet 1005."""
    row = {"number": 5, "time": "2026-11-21T20:00:05.000000000Z", "protocol": "HTTP", "length": 60}
    row |= {"source": "192.0.2.1", "destination": "192.0.2.2", "info": "HTTP/1.1 200 OK"}
    frame = {"text": "Frame 5: Packet, 60 bytes", "at": 0, "length": 60, "below": []}
    answer = {"packet": row, "details": [frame], "cut": False, "data": "", "streams": []}
    table = {"packets": [row], "count": 5, "more": False, "notes": [], "digest": "abc"}
    ask = Backend.ask

    async def answered(self: Backend, asker: Asker, method: str, path: str, *more: Any) -> Any:
        if path.startswith("/packets/"):
            return answer
        return table if path.startswith("/packets?") else await ask(self, asker, method, path, *more)

    monkeypatch.setattr(Backend, "ask", answered)
    browser = world.user("capture")
    for path in ("/packets/packet?file=one.pcapng&number=5", "/packets?file=one.pcapng"):
        assert "count from packet 1001 on" in browser.page(f"{path}&skip=1000")
        assert "count from packet" not in browser.page(path)
    assert "Packet 1005" in browser.page("/packets/packet?file=one.pcapng&number=5&skip=1000")


def test_a_part_of_the_ring_is_looked_at_as_a_file_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    part = "/packets?start=2026-11-21T20:00:00Z&end=2026-11-21T20:01:00Z"
    browser = world.user("capture")
    for wrong in ("/packets?start=soon&end=later", "/packets?start=2026-11-21T20:00:00Z"):
        answer = browser.get(wrong)
        assert answer.status_code == 422
        assert 'role="alert"><strong>' in answer.text
    table: dict[str, Any] = {"packets": [], "count": 0, "more": True, "notes": [], "digest": "abc"}
    ask = Backend.ask

    async def answered(self: Backend, asker: Asker, method: str, path: str, *more: Any) -> Any:
        return table if path.startswith("/packets?") else await ask(self, asker, method, path, *more)

    monkeypatch.setattr(Backend, "ask", answered)
    assert "Ring, 2026-11-21 20:00:00 UTC to 2026-11-21 20:01:00 UTC" in browser.page(part)
    table |= {
        "count": 1,
        "packets": [
            {"number": 1, "time": "2026-11-21T20:00:05.000000000Z", "protocol": "TCP", "length": 60}
            | {"source": "192.0.2.1", "destination": "192.0.2.2", "info": ""}
        ],
    }
    page = browser.page(part)
    assert "there are further ones, which a narrower filter shows." in page
    assert "/api/files/" not in page
