from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.cli import wifi
from allegro.network.wifi_scan import Station
from allegro.settings.wifi import AccessPoint, Client, Wifi
from tests.unit.api.bench import Bench, make_bench

pytestmark = pytest.mark.spec("N2", "W6")
PHONE = Station("02:00:00:00:01:00", -40.0, 130, 1000, 2000, "phone", "192.168.78.104")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path)
    yield made
    made.jobs.close()


def test_without_an_adapter(bench: Bench) -> None:
    bench.wifi.system.found = []
    bench.wifi.refreshed()
    answer = bench.get("/wifi")
    assert (answer["mode"], answer["state"], answer["adapter"], answer["scan"]) == (
        "access-point",
        "no-adapter",
        None,
        None,
    )
    assert wifi.text(answer).splitlines() == [
        "WiFi  access-point: no adapter",
        "      No WiFi adapter is plugged in.",
    ]
    assert bench.refused(409, "POST", "/wifi/scan")["message"] == "There is no WiFi adapter."


def test_access_point_with_a_phone(bench: Bench) -> None:
    bench.wifi.refreshed()
    bench.wifi.system.present = [PHONE]
    answer = bench.get("/wifi")
    assert (answer["state"], answer["ssid"], answer["channel"]) == ("on", "allegro-mm-3456", 6)
    assert answer["adapter"] == {
        "driver": "rtl8xxxu",
        "mac": "02:00:00:00:00:07",
        "access_point": True,
        "wpa3": True,
        "channels": {"2.4": list(range(1, 12)), "5": []},
    }
    assert answer["clients"] == [
        {
            "mac": "02:00:00:00:01:00",
            "name": "phone",
            "address": "192.168.78.104",
            "signal_dbm": -40.0,
            "connected_s": 130,
            "received": 1000,
            "sent": 2000,
        }
    ]
    text = wifi.text(answer)
    assert "Channel  6 (2.4 GHz), WPA2-WPA3" in text
    assert "02:00:00:00:01:00 phone  192.168.78.104  -40 dBm  2 min" in text
    assert "Allegro-MM" not in bench.call("GET", "/wifi").text


@pytest.mark.spec("S6")
def test_two_passwords_for_a_while(bench: Bench) -> None:
    bench.wifi.refreshed()
    answer = bench.get("/wifi")
    assert (answer["first_password"], answer["both_passwords_s"]) == (True, None)
    assert "Password" not in wifi.text(answer)
    bench.wifi.set(Wifi(access_point=AccessPoint(password="a better one")))
    answer = bench.get("/wifi")
    assert not answer["first_password"]
    assert 3500 < answer["both_passwords_s"] <= 3600
    assert "Password  the first one holds, too, " in wifi.text(answer)
    assert "a better one" not in str(answer)


def test_nobody_in_the_network(bench: Bench) -> None:
    bench.wifi.refreshed()
    assert wifi.text(bench.get("/wifi")).endswith("Nobody is in this network.")


def test_scan(bench: Bench) -> None:
    bench.wifi.refreshed()
    response = bench.call("POST", "/wifi/scan")
    assert response.status_code == 200
    found = response.json()["scan"]
    assert found["time"].endswith("Z")
    assert [(each["ssid"], each["channel"], each["security"]) for each in found["networks"]] == [
        ("Café", 1, "wpa2")
    ]
    assert bench.get("/wifi")["scan"] == found
    assert wifi.networks_text(found["networks"]).splitlines()[1] == "-40 dBm  1        WPA2        Café"
    assert wifi.networks_text([]) == "No network was found."


def test_refused_by_another_network(bench: Bench) -> None:
    bench.wifi.system.up = False
    bench.wifi.system.refused = True
    bench.wifi.set(Wifi(mode="client", client=Client(ssid="Office", password="wrong horse")))
    answer = bench.get("/wifi")
    assert (answer["mode"], answer["state"], answer["ssid"]) == ("client", "refused", "Office")
    assert "The network Office refuses this device. Most likely the password is wrong." in wifi.text(answer)


def test_settings_are_checked_and_secret(bench: Bench) -> None:
    refused = bench.refused(422, "PATCH", "/settings", {"wifi": {"access_point": {"password": "short"}}})
    assert refused["place"] == "wifi.access_point.password"
    assert "short" not in refused["message"]
    changed = {"wifi": {"access_point": {"password": "long enough"}}}
    assert "long enough" not in bench.call("PATCH", "/settings", changed).text
    assert bench.settings.current.wifi.access_point.password == "long enough"
    bench.call("PATCH", "/settings", {"wifi": {"access_point": {"password": "********", "channel": 3}}})
    assert bench.settings.current.wifi.access_point.password == "long enough"
