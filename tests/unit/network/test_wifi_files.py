from ipaddress import IPv4Address, IPv4Interface

import pytest

from allegro.network import wifi_files
from allegro.network.wifi_files import Radio
from allegro.settings.wifi import Client

pytestmark = pytest.mark.spec("N2")
RADIO = Radio("allegro-mm-3456", "2.4", 6, wpa3=True)
CONTROL = "/run/allegro/wifi-access-point"
KEY = "0123456789abcdef" * 4


def lines(text: str) -> list[str]:
    assert text.endswith("\n")
    return [line.strip() for line in text.splitlines()]


def test_wpa3_beside_wpa2() -> None:
    made = lines(wifi_files.hostapd(RADIO, "Allegro-MM", CONTROL))
    assert "wpa_key_mgmt=WPA-PSK SAE" in made
    assert {"ieee80211w=1", "sae_require_mfp=1", "wpa=2", "rsn_pairwise=CCMP", "ap_isolate=1"} <= set(made)
    assert "hw_mode=g" in made
    assert not any(line.startswith("country_code") for line in made)


def test_wpa2_alone() -> None:
    made = lines(wifi_files.hostapd(Radio("x", "2.4", 1), "Allegro-MM", CONTROL))
    assert "wpa_key_mgmt=WPA-PSK" in made
    assert not any(line.startswith(("ieee80211w", "sae")) for line in made)


def test_a_key_in_hex_digits_is_no_pass_phrase() -> None:
    made = lines(wifi_files.hostapd(RADIO, KEY, CONTROL))
    assert f"wpa_psk={KEY}" in made
    assert "wpa_key_mgmt=WPA-PSK" in made
    assert not any(line.startswith("wpa_passphrase") for line in made)


def test_five_gigahertz_with_its_country() -> None:
    made = lines(wifi_files.hostapd(Radio("x", "5", 36, country="DE", ac=True), "Allegro-MM", CONTROL))
    assert {"hw_mode=a", "channel=36", "country_code=DE", "ieee80211d=1", "ieee80211ac=1"} <= set(made)


@pytest.mark.parametrize("name", ['a "b" #c\\', "Café", " blanks "])
def test_names_are_written_so_that_no_character_means_anything(name: str) -> None:
    digits = name.encode().hex()
    assert f"ssid2={digits}" in lines(wifi_files.hostapd(Radio(name, "2.4", 1), "Allegro-MM", CONTROL))
    assert f"ssid={digits}" in lines(wifi_files.wpa_supplicant(Client(ssid=name), "", "/control"))


def test_client() -> None:
    client = Client(ssid="Office", password='with "quotes" #')
    made = lines(wifi_files.wpa_supplicant(client, "DE", "/control"))
    assert made[:3] == ["ctrl_interface=DIR=/control", "update_config=0", "country=DE"]
    assert 'psk="with "quotes" #"' in made
    assert "key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE" in made
    assert f"psk={KEY}" in lines(wifi_files.wpa_supplicant(Client(ssid="x", password=KEY), "", "/c"))
    assert "key_mgmt=NONE" in lines(wifi_files.wpa_supplicant(Client(ssid="x"), "", "/c"))


def test_addresses_and_names() -> None:
    leases = (IPv4Address("10.0.0.5"), IPv4Address("10.0.0.9"))
    made = lines(wifi_files.dnsmasq(IPv4Interface("10.0.0.1/24"), leases, "allegro-mm-3456", "/leases"))
    names = "allegro,allegro.home.arpa,allegro.local"
    names += ",allegro-mm-3456,allegro-mm-3456.home.arpa,allegro-mm-3456.local"
    assert f"host-record={names},10.0.0.1" in made
    probes = next(line for line in made if "captive.apple.com" in line)
    assert probes.startswith("host-record=connectivitycheck.gstatic.com,")
    assert probes.endswith(",10.0.0.1")
    assert "host-record=dns.msftncsi.com,131.107.255.255" in made
    assert "dhcp-range=10.0.0.5,10.0.0.9,255.255.255.0,1h" in made
    assert {"interface=wifi0", "except-interface=lo", "bind-dynamic", "no-resolv", "local=/#/"} <= set(made)


def test_the_cable_counts_more_than_a_joined_network() -> None:
    made = lines(wifi_files.client_network())
    assert made.count("RouteMetric=600") == 2
    assert "DHCP=yes" in made
    assert "Name=wifi0" in made
