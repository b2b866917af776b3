import asyncio

import httpx
import pytest

from allegro.web.backend import Backend
from allegro.web.own_addresses import Addresses, DeviceName, own_addresses, sorted_addresses

pytestmark = pytest.mark.spec("W10")


def test_what_may_change_daily_is_told_apart_and_what_holds_on_one_cable_left_out() -> None:
    found = [
        ("192.0.2.7/24", "DHCPv4"),
        ("169.254.3.4/16", "foreign"),
        ("fe80::1/64", "foreign"),
        ("2001:db8::1/64", "static"),
        ("2001:db8:1::2/64", "NDisc"),
        ("192.0.2.7/24", "foreign"),
    ]
    assert sorted_addresses(found) == Addresses(
        ("192.0.2.7", "169.254.3.4", "2001:db8::1"), ("2001:db8:1::2",)
    )


def asked(answers: dict[str, object], name: DeviceName | None = None) -> Addresses | None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=answers[request.url.path])

    return asyncio.run(own_addresses(Backend(httpx.MockTransport(answer)), name or DeviceName("first")))


def test_they_are_those_of_all_management_ports_and_of_the_wifi() -> None:
    network = {
        "host_name": "meter-7",
        "addresses_unknown_since": None,
        "management": [
            {"addresses": [{"address": f"192.0.2.{number}/24", "source": "static"}]} for number in (1, 2)
        ],
    }
    wifi = {"addresses": ["192.168.78.1/24"]}
    name = DeviceName("first")
    told = asked({"/api/network": network, "/api/wifi": wifi}, name)
    assert name() == "meter-7", "a changed name reaches the page, and its certificate"
    assert told == Addresses(("192.0.2.1", "192.0.2.2", "192.168.78.1"))
    assert asked({"/api/network": {}, "/api/wifi": wifi}) is None
    unknown = network | {"addresses_unknown_since": "2026-11-21T14:30:05.000000000Z"}
    assert asked({"/api/network": unknown, "/api/wifi": wifi}) is None, "its certificate stays"
