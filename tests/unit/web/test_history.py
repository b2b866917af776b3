import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from allegro.web import history as history_module
from allegro.web.backend import Backend
from allegro.web.history import KEPT, History, sample


def test_ports_come_and_go_and_old_samples_are_forgotten() -> None:
    history = History()
    history.add(1.0, {"ports": [{"name": "port2", "bytes_per_s": 1.0}]})
    history.gap(3.0)
    ports = [{"name": name, "bytes_per_s": 2.0} for name in ("port10", "port2")]
    history.add(5.04, {"ports": ports})
    assert history.series() == {
        "times": [1.0, 3.0, 5.0],
        "ports": [
            {"name": "port2", "bits_per_s": [8, None, 16]},
            {"name": "port10", "bits_per_s": [None, None, 16]},
        ],
    }
    for number in range(KEPT):
        history.gap(10.0 + number)
    assert history.series()["ports"] == []


@pytest.mark.spec("W3")
def test_the_sampler_survives_whatever_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "INTERVAL_S", 0.0)

    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'{"ports"'
            raise httpx.RemoteProtocolError("peer closed connection")

    good = {"ports": [{"name": "port1", "bytes_per_s": 1.0}]}
    answers = [
        httpx.Response(200, stream=Broken()),
        httpx.Response(200, content=b"{"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json=7),
        httpx.Response(200, json={"ports": [7]}),
        httpx.Response(200, json={"ports": [{"name": "port1", "bytes_per_s": None}]}),
        httpx.Response(503, json={"error": {}}),
        httpx.Response(200, json=good),
    ]

    async def run() -> History:
        history, asked_all = History(), asyncio.Event()

        class Transport(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if answers:
                    return answers.pop(0)
                asked_all.set()
                return httpx.Response(200, json=good)

        task = asyncio.create_task(sample(history, Backend(Transport())))
        await asked_all.wait()
        assert not task.done()
        task.cancel()
        return history

    (port,) = asyncio.run(run()).series()["ports"]
    assert port["bits_per_s"][:8] == [*[None] * 7, 8]


def test_what_an_open_dashboard_has_asked_anyway_is_not_asked_again() -> None:
    ring = {"ports": [{"name": "port1", "bytes_per_s": 1.0}]}
    history = History()
    assert not history.is_fed(100.0)
    history.feed(100.0, ring)
    history.feed(100.5, ring)  # a second one
    assert history.is_fed(102.0)
    history.feed(102.0, ring)
    assert history.series()["times"] == [100.0, 102.0]
    assert not history.is_fed(106.0)
    assert not history.is_fed(50.0), "a clock that was set back keeps nobody from asking"
