from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from allegro.errors import Conflict
from allegro.network import wifi_plan
from allegro.network.wifi_adapters import Capabilities
from allegro.network.wifi_scan import FoundNetwork
from allegro.settings.wifi import AccessPoint, Wifi
from tests.unit.network.wifi_bench import CAN, NEIGHBOUR

pytestmark = pytest.mark.spec("N2")
OWN = IPv4Interface("192.168.78.1/24")


def plan(settings: Wifi, can: Capabilities = CAN) -> wifi_plan.AccessPointPlan:
    return wifi_plan.access_point(
        settings, "allegro-mm-3456", OWN, can, lambda: [NEIGHBOUR], "/leases", "/control"
    )


def test_the_address_of_the_specification_unless_its_subnet_is_taken() -> None:
    def own(*taken: str) -> str:
        return str(wifi_plan.own_address(AccessPoint(), map(IPv4Network, taken)))

    assert own() == own("192.168.77.0/24", "10.0.0.0/8") == "192.168.78.1/24"
    assert own("192.168.78.0/24") == "192.168.79.1/24"
    assert own("192.168.64.0/19") == "192.168.96.1/24"


def test_no_free_subnet() -> None:
    with pytest.raises(Conflict, match="No free subnet"):
        wifi_plan.own_address(AccessPoint(), [IPv4Network("192.168.0.0/16")])


def test_an_address_that_is_set_is_not_replaced() -> None:
    settings = AccessPoint(address="10.1.0.1/16")
    assert str(wifi_plan.own_address(settings, [IPv4Network("10.2.0.0/16")])) == "10.1.0.1/16"
    with pytest.raises(Conflict, match=r"10\.1\.0\.0/16\) overlaps with 10\.1\.7\.0/24") as refused:
        wifi_plan.own_address(settings, [IPv4Network("10.1.7.0/24")])
    assert refused.value.place == "wifi.access_point.address"


@pytest.mark.parametrize(
    ("settings", "first", "last"),
    [
        (AccessPoint(address="192.168.78.1/24"), "192.168.78.100", "192.168.78.199"),
        (AccessPoint(address="10.0.0.1/16"), "10.0.0.100", "10.0.0.199"),
        (AccessPoint(address="10.0.0.14/29"), "10.0.0.9", "10.0.0.14"),
        (
            AccessPoint(address="10.0.0.1/24", lease_first="10.0.0.7", lease_last="10.0.0.8"),
            "10.0.0.7",
            "10.0.0.8",
        ),
    ],
)
def test_leases(settings: AccessPoint, first: str, last: str) -> None:
    own = IPv4Interface(settings.address)
    assert settings.leases(own) == (IPv4Address(first), IPv4Address(last))


def test_the_default_access_point() -> None:
    made = plan(Wifi())
    assert (made.radio.ssid, made.radio.band, made.radio.channel) == ("allegro-mm-3456", "2.4", 6)
    assert made.security == "wpa2-wpa3"
    assert "wpa_passphrase=Allegro-MM\n" in made.hostapd
    assert "dhcp-range=192.168.78.100,192.168.78.199,255.255.255.0,1h\n" in made.dnsmasq
    assert "Address=192.168.78.1/24\n" in made.network


def test_without_wpa3_in_the_adapter_or_with_a_key_it_is_wpa2() -> None:
    old = Capabilities(access_point=True, channels=CAN.channels)
    assert plan(Wifi(), old).security == "wpa2"
    assert plan(Wifi(access_point=AccessPoint(security="wpa2"))).security == "wpa2"
    assert plan(Wifi(access_point=AccessPoint(password="0" * 64))).security == "wpa2"


def test_a_channel_that_is_set_is_used_without_listening() -> None:
    def listen() -> list[FoundNetwork]:
        raise AssertionError("nobody has to listen")

    settings = Wifi(access_point=AccessPoint(channel=11))
    made = wifi_plan.access_point(settings, "name", OWN, CAN, listen, "/leases", "/control")
    assert made.radio.channel == 11


@pytest.mark.parametrize(
    ("settings", "place", "says", "remedy"),
    [
        (
            Wifi(access_point=AccessPoint(channel=13)),
            "wifi.access_point.channel",
            "channel 13 cannot be used as long as no country is set",
            "Possible are 1, 2,",
        ),
        (
            Wifi(access_point=AccessPoint(channel=13), country="US"),
            "wifi.access_point.channel",
            "channel 13 cannot be used in United States",
            "Possible are 1, 2,",
        ),
        (
            Wifi(access_point=AccessPoint(band="5"), country="DE"),
            "wifi.access_point.band",
            "the band 5 GHz cannot be used in Germany",
            "Choose the other band.",
        ),
    ],
)
def test_what_the_law_or_the_adapter_does_not_allow(
    settings: Wifi, place: str, says: str, remedy: str
) -> None:
    with pytest.raises(Conflict) as refused:
        plan(settings)
    assert refused.value.place == place
    assert says in refused.value.message
    assert refused.value.remedy.startswith(remedy)


def test_an_adapter_that_cannot_be_an_access_point() -> None:
    with pytest.raises(Conflict, match="cannot be an access point"):
        plan(Wifi(), Capabilities(channels=CAN.channels))
