"""Probes of five systems in the device's WiFi, and the page that they lead to."""

import asyncio
import html
from ipaddress import IPv4Interface
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from allegro.network.wifi_adapters import NAME
from allegro.web.app import redirecting_app
from tests.unit.web.world import World

OWN = "192.168.78.1"

PROBES = [
    ("Android", "http://connectivitycheck.gstatic.com/generate_204", 204, ""),
    ("iOS and macOS", "http://captive.apple.com/hotspot-detect.html", 200, "<TITLE>Success</TITLE>"),
    ("Windows", "http://www.msftconnecttest.com/connecttest.txt", 200, "Microsoft Connect Test"),
    ("older Windows", "http://www.msftncsi.com/ncsi.txt", 200, "Microsoft NCSI"),
    ("Firefox", "http://detectportal.firefox.com/success.txt", 200, "success\n"),
    ("Firefox, by itself", "http://detectportal.firefox.com/canonical.html", 200, "captive-portal"),
]

pytestmark = pytest.mark.spec("N8")


class Phone:
    """In the device's WiFi, whose name server leads all these names to the device."""

    def __init__(self, app: ASGIApp, address: str = "192.168.78.117", server: str = OWN) -> None:
        self._app = app
        self._address = address
        self._server = server

    def send(self, method: str, url: str) -> httpx.Response:
        asked = httpx.URL(url)

        async def request() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, client=(self._address, 50000))
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{self._server}:80") as client:
                return await client.request(method, asked.path, headers={"Host": asked.host})

        return asyncio.run(request())


@pytest.fixture
def app(world: World) -> ASGIApp:
    wifi = world.device.wifi
    wifi.settings = world.device.settings.current
    wifi.care.refresh()
    wifi.system.own = {NAME: [IPv4Interface(f"{OWN}/24")]}
    assert world.device.get("/wifi")["addresses"] == [f"{OWN}/24"]
    return redirecting_app(world.site, 443)


@pytest.mark.parametrize(("_system", "url", "status", "content"), PROBES)
def test_a_probe_leads_to_a_page_that_says_where_one_is_until_somebody_stays(
    app: ASGIApp, _system: str, url: str, status: int, content: str
) -> None:
    phone = Phone(app)
    told = phone.send("GET", url)
    assert (told.status_code, told.headers["location"]) == (302, f"http://{OWN}/welcome")
    page = phone.send("GET", told.headers["location"])
    assert page.status_code == 200
    assert "You are in the WiFi of allegro-mm-3456" in html.unescape(page.text)
    assert f'<a href="https://{OWN}/" target="_blank"' in page.text
    assert "<script" not in page.text
    assert phone.send("POST", f"http://{OWN}/welcome/stay").headers["location"] == "/welcome"
    stays = phone.send("GET", url)
    assert stays.status_code == status
    assert content in stays.text
    assert "stays connected" in phone.send("GET", f"http://{OWN}/welcome").text
    assert Phone(app, "192.168.78.118").send("GET", url).status_code == 302, "others are asked for themselves"


def test_a_browser_finds_nothing_to_complain_of(app: ASGIApp) -> None:
    """A header that counts over HTTPS only, and a picture that is elsewhere."""
    phone = Phone(app)
    page = phone.send("GET", f"http://{OWN}/welcome")
    assert "cross-origin-opener-policy" not in page.headers
    assert page.headers["cross-origin-resource-policy"] == "same-origin"
    assert page.text.count("<main>") == 1
    assert phone.send("GET", f"http://{OWN}/favicon.ico").status_code == 204


def test_who_comes_by_cable_is_told_nothing_of_the_wifi(app: ASGIApp) -> None:
    desk = Phone(app, "192.0.2.9", "192.0.2.7")
    answer = desk.send("GET", "http://192.0.2.7/welcome")
    assert (answer.status_code, answer.headers["location"]) == (302, "https://192.0.2.7/")
    other = desk.send("GET", "http://192.0.2.7/storage")
    assert (other.status_code, other.headers["location"]) == (308, "https://192.0.2.7/storage")


def test_who_asks_again_and_again_does_not_keep_the_supervisor_busy(
    app: ASGIApp, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    ask = world.site.backend.ask

    async def counted(*arguments: Any) -> Any:
        asked.append(arguments[2])
        await asyncio.sleep(0)
        return await ask(*arguments)

    monkeypatch.setattr(world.site.backend, "ask", counted)

    async def crowd() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{OWN}:80") as client:
            return [
                each.status_code
                for each in await asyncio.gather(*(client.get("/welcome") for _ in range(50)))
            ]

    assert asyncio.run(crowd()) == [200] * 50
    assert asked == ["/wifi"]
    world.clock.now += 60
    assert Phone(app).send("GET", f"http://{OWN}/welcome").status_code == 200
    assert asked == ["/wifi"] * 2


def test_many_phones_cannot_fill_the_memory(app: ASGIApp) -> None:
    first, url = Phone(app), PROBES[0][1]
    first.send("POST", f"http://{OWN}/welcome/stay")
    for number in range(256):
        Phone(app, f"192.168.79.{number}").send("POST", f"http://{OWN}/welcome/stay")
    assert first.send("GET", url).status_code == 302
    assert Phone(app, "192.168.79.255").send("GET", url).status_code == 204
