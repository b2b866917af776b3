import json
from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from allegro.errors import Conflict, Unavailable
from allegro.network import wifi_care
from allegro.network.wifi_adapters import Adapter, Capabilities
from allegro.network.wifi_scan import Station
from allegro.settings.wifi import AccessPoint, Client, Wifi
from tests.unit.network.wifi_bench import CAN, NEIGHBOUR, Bench

pytestmark = pytest.mark.spec("N2")
AP_STARTED = ["country ", "scan", "start allegro-wifi-access-point allegro-wifi-dhcp"]
OFFICE = Wifi(mode="client", client=Client(ssid="Office", password="correct horse"), country="DE")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_access_point_is_on_by_itself(bench: Bench) -> None:
    assert bench.refreshed() == ["stop", *AP_STARTED]  # before: to give the adapter its name
    assert bench.system.orders.keys() == {"access-point", "dhcp", "passwords"}
    status = bench.care.status()
    assert (status.state, status.ssid, status.channel, status.security) == (
        "on",
        "allegro-mm-3456",
        6,
        "wpa2-wpa3",
    )
    assert bench.care.problem() is None


def test_nothing_is_done_while_nothing_changes(bench: Bench) -> None:
    bench.refreshed()
    bench.system.own = {"wifi0": [IPv4Interface("192.168.78.1/24")], "mgmt0": [IPv4Interface("10.0.2.15/24")]}
    assert bench.refreshed() == []


def test_another_country_starts_it_again(bench: Bench) -> None:
    bench.refreshed()
    assert bench.set(Wifi(country="DE")) == ["country DE", *AP_STARTED[1:]]


def test_settings_of_the_other_mode_disturb_nobody(bench: Bench) -> None:
    bench.refreshed()
    assert bench.set(Wifi(client=Client(ssid="Office"))) == []


def test_a_program_that_starts_again_leaves_the_access_point_alone(bench: Bench) -> None:
    bench.refreshed()
    bench.care = bench.another_care()
    assert bench.refreshed() == []
    status = bench.care.status()
    assert (status.state, status.ssid, status.channel) == ("on", "allegro-mm-3456", 6)
    assert "Allegro-MM" not in bench.system.note


@pytest.mark.parametrize("note", ["", "damaged", "[]", '{"what": 7}', '{"nothing": 1}'])
def test_what_runs_but_is_not_wanted_is_started_anew(bench: Bench, note: str) -> None:
    bench.refreshed()
    bench.system.note = note
    bench.care = bench.another_care()
    assert bench.refreshed() == AP_STARTED


def test_unplugged_and_plugged_in_again(bench: Bench) -> None:
    bench.refreshed()
    bench.system.found = []
    assert bench.refreshed() == ["stop"]
    assert bench.refreshed() == []
    status = bench.care.status()
    assert (status.state, status.adapter, status.ssid) == ("no-adapter", None, "")
    assert bench.care.problem() is None
    bench.system.found = [Adapter("wlan0", 8, "phy1", "02:00:00:00:00:07", "rtl8xxxu")]
    assert bench.refreshed() == ["stop", *AP_STARTED]
    assert bench.care.status().state == "on"


def test_off(bench: Bench) -> None:
    bench.refreshed()
    assert bench.set(Wifi(mode="off")) == ["stop"]
    assert bench.refreshed() == []
    status = bench.care.status()
    assert (status.state, status.ssid, status.stations) == ("off", "", ())
    assert bench.set(Wifi())[-1] == AP_STARTED[-1]


def test_client_mode(bench: Bench) -> None:
    bench.refreshed()
    bench.system.up = False
    assert bench.set(OFFICE) == ["country DE", "start allegro-wifi-client"]
    assert bench.care.status().state == "connecting"
    assert bench.care.problem() is None  # it takes a moment
    bench.system.refused = True
    refused = bench.care.status()
    assert (refused.state, refused.ssid) == ("refused", "Office")
    assert "password" in refused.remedy
    bench.system.up = True
    connected = bench.care.status()
    assert (connected.state, connected.signal_dbm) == ("connected", -51.0)
    assert "No address" in connected.message
    bench.system.own = {"wifi0": [IPv4Interface("10.9.0.7/24")]}
    assert (bench.care.status().addresses, bench.care.status().message) == (("10.9.0.7/24",), "")


def test_while_it_is_being_started_the_state_of_before_is_not_shown(bench: Bench) -> None:
    bench.refreshed()
    seen: list[tuple[str, str]] = []

    def look(_: str) -> None:
        status = bench.care.status()
        seen.append((status.state, status.ssid))

    bench.system.on_country = look
    bench.set(OFFICE)
    assert seen == [("starting", "")]
    assert (bench.care.status().state, bench.care.status().ssid) == ("connected", "Office")


def test_a_network_that_is_not_reached_is_a_problem_after_a_while(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wifi_care, "CONNECTS_S", -1.0)
    bench.system.up = False
    bench.set(OFFICE)
    problem = bench.care.problem()
    assert problem is not None
    assert "not connected to the WiFi network Office" in problem.text


def test_an_access_point_that_does_not_start_is_told_and_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wifi_care, "COMES_UP_S", -1.0)
    bench.system.up = False
    assert bench.refreshed()[-1] == "stop"
    assert bench.care.status().state == "failed"
    problem = bench.care.problem()
    assert problem is not None
    assert "does not start" in problem.text
    seen: list[str] = []
    bench.system.on_country = lambda _: seen.append(bench.care.status().state)
    bench.system.up = True
    assert bench.refreshed() == AP_STARTED
    assert seen == ["failed"], "the problem stays while it is tried again"
    assert bench.care.problem() is None


def test_programs_that_cannot_be_started(bench: Bench) -> None:
    bench.system.fails = Unavailable("The WiFi programs could not be started (no memory).")
    bench.refreshed()
    assert bench.care.status().message == "The WiFi programs could not be started (no memory)."


def test_what_the_adapter_cannot_do_is_a_problem(bench: Bench) -> None:
    bench.system.can = Capabilities(channels=CAN.channels)
    bench.refreshed()
    problem = bench.care.problem()
    assert problem is not None
    assert "cannot be an access point" in problem.text
    assert bench.refreshed() == [], "whatever happens on other links, it is not tried again"
    assert bench.care.problem() == problem
    assert bench.set(OFFICE)[-1] == "start allegro-wifi-client"
    assert bench.care.problem() is None


def test_the_channel_is_chosen_blindly_if_nobody_can_listen(bench: Bench) -> None:
    bench.system.heard = Unavailable("busy")
    bench.refreshed()
    assert bench.care.status().channel == 1


def test_the_subnet_of_management_is_avoided(bench: Bench) -> None:
    bench.system.own = {"mgmt0": [IPv4Interface("192.168.78.20/24")]}
    bench.refreshed()
    assert "Address=192.168.79.1/24" in bench.system.network


def test_an_address_that_is_set_and_overlaps_is_a_problem_until_it_does_not(bench: Bench) -> None:
    bench.system.own = {"mgmt0": [IPv4Interface("10.0.2.15/24")]}
    bench.set(Wifi(access_point=AccessPoint(address="10.0.2.1/24")))
    problem = bench.care.problem()
    assert problem is not None
    assert "overlaps with 10.0.2.0/24" in problem.text
    bench.system.own = {}
    assert bench.refreshed() == AP_STARTED


def test_who_is_in_the_network(bench: Bench) -> None:
    bench.refreshed()
    phone = Station("02:00:00:00:01:00", -40.0, 12, 1000, 2000, "phone", "192.168.78.104")
    bench.system.present = [phone]
    assert bench.care.status().stations == (phone,)


def test_scan(bench: Bench) -> None:
    with pytest.raises(Conflict, match="no WiFi adapter"):
        bench.care.scan()
    bench.refreshed()
    assert bench.care.status().networks is None
    bench.system.heard = [NEIGHBOUR, replace(NEIGHBOUR, bssid="02:00:00:00:01:01", signal_dbm=-80.0)]
    bench.system.log.clear()
    found = bench.care.scan()
    assert bench.system.log == ["scan in use"]
    assert found.networks == (NEIGHBOUR,)
    assert found.scanned_s is not None
    bench.set(Wifi(mode="off"))
    bench.system.log.clear()
    bench.care.scan()
    assert bench.system.log == ["scan"]


def test_the_note_has_one_line(bench: Bench) -> None:
    bench.refreshed()
    assert json.loads(bench.system.note)["ssid"] == "allegro-mm-3456"
    assert "\n" not in bench.system.note
