from typing import Any

import pytest

from tests.unit.cli.playing_api import Api, run

NETWORK: dict[str, Any] = {
    "host_name": "allegro-mm-3456",
    "links_mode": "bridge",
    "ports": [
        {
            "name": "mgmt0",
            "role": "management",
            "kind": "wired",
            "key": "02:00:00:00:34:56",
            "driver": "e1000",
            "place": "pci",
            "present": True,
            "link_up": True,
            "speed_mbit": 1000,
            "mtu": 1500,
            "link": "",
        },
        {
            "name": "port1",
            "role": "measuring",
            "kind": "",
            "key": "02:00:00:00:34:57",
            "driver": "",
            "place": "",
            "present": False,
            "link_up": False,
            "speed_mbit": None,
            "mtu": None,
            "link": "br1",
        },
    ],
    "management": [
        {
            "name": "mgmt0",
            "addresses": [{"address": "192.0.2.7/24", "source": "DHCPv4"}],
            "gateways": ["192.0.2.1"],
            "dns": [],
        }
    ],
    "addresses_unknown_since": None,
    "temporary_address": {"address": "192.168.77.1/24", "dhcp_server": True, "probed": False},
    "confirm_within_s": 17.2,
    "taken_back": "",
}


def test_the_network_for_people(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer(
        "GET /network",
        NETWORK,
        {
            **NETWORK,
            "confirm_within_s": None,
            "taken_back": "because the device restarted",
            "addresses_unknown_since": "2026-11-21T14:30:05.000000000Z",
        },
    )
    assert run(api, "network") == 0
    text = capsys.readouterr().out
    assert "mgmt0  management  up         1000 Mbit/s  -        02:00:00:00:34:56" in text
    assert "port1  measuring   not there  -            br1      02:00:00:00:34:57" in text
    assert "mgmt0: 192.0.2.7/24 (DHCPv4)" in text
    assert "192.168.77.1/24 until power-off, with DHCP server; without a cable" in text
    assert "taken back in 17 s" in text
    assert run(api, "network", "status") == 0
    text = capsys.readouterr().out
    assert "The last change was taken back because the device restarted." in text
    assert "The addresses are not known since 2026-11-21 14:30:05 UTC: those of before are shown." in text


def test_network_commands_ask_for_the_right_things(api: Api) -> None:
    api.answer("POST /network/confirm", NETWORK)
    api.answer("POST /network/take-back", NETWORK)
    api.answer("PUT /network/ports", NETWORK)
    api.answer("POST /network/temporary-address", NETWORK["temporary_address"])
    api.answer("DELETE /network/temporary-address", NETWORK)
    assert run(api, "network", "confirm") == 0
    assert run(api, "network", "take-back") == 0
    assert run(api, "network", "ports", "mgmt0=port1", "port1=mgmt0") == 0
    assert ("PUT /network/ports", {"names": {"mgmt0": "port1", "port1": "mgmt0"}}) in api.asked
    assert run(api, "network", "temporary-address", "--dhcp-server") == 0
    assert ("POST /network/temporary-address", {"dhcp_server": True}) in api.asked
    assert run(api, "network", "temporary-address", "--release") == 0
    api.answer("POST /network/ports/port1/blink", None)
    assert run(api, "network", "blink", "port1", "--seconds", "3") == 0
    assert ("POST /network/ports/port1/blink", {"seconds": 3}) in api.asked
    assert run(api, "network", "ports", "mgmt0") == 1
