import pytest

from allegro.network.management import network_files
from allegro.network.temporary_address import Claim
from allegro.settings.model import Settings
from allegro.settings.network import Addressing, Management, Time

pytestmark = pytest.mark.spec("N1")

DHCP = """\
[Match]
Name=mgmt0

[Link]
RequiredForOnline=no
ARP=yes
Promiscuous=no
AllMulticast=no
MTUBytes=1500

[Network]
DHCP=yes
LinkLocalAddressing=ipv6
IPv6AcceptRA=yes
MulticastDNS=yes
LLMNR=no

[DHCPv4]
ClientIdentifier=mac
SendHostname=yes
UseHostname=no
UseNTP=yes
RouteMetric=100

[DHCPv6]
DUIDType=link-layer
SendHostname=yes
UseHostname=no
UseNTP=yes

[IPv6AcceptRA]
RouteMetric=100
"""


def _lines(settings: Settings, temporary: Claim | None = None, name: str = "mgmt0") -> list[str]:
    return network_files(settings, ["mgmt0", "mgmt1", "mgmt2"], temporary)[f"{name}.network"].splitlines()


def test_dhcp_is_the_default() -> None:
    assert network_files(Settings(), ["mgmt0"]) == {"mgmt0.network": DHCP}
    assert network_files(Settings(), []) == {}


def test_a_static_address() -> None:
    management = Management(
        mode="static", address="192.168.1.20/24", gateway="192.168.1.1", dns=("192.168.1.1", "2001:db8::1")
    )
    lines = _lines(Settings(management=management))
    assert "DHCP=no" in lines
    assert "Address=192.168.1.20/24" in lines
    assert lines[lines.index("[Route]") + 1 : lines.index("[Route]") + 3] == [
        "Gateway=192.168.1.1",
        "Metric=100",
    ]
    assert [line for line in lines if line.startswith("DNS=")] == ["DNS=192.168.1.1", "DNS=2001:db8::1"]
    assert "DHCPServer=yes" not in lines
    without = management.model_copy(update={"gateway": "", "dns": ()})
    assert "[Route]" not in _lines(Settings(management=without))


def test_ipv6_and_time_servers_of_dhcp_can_be_switched_off() -> None:
    time = Time(servers=("ntp.example", "192.0.2.1"), servers_from_dhcp=False)
    lines = _lines(Settings(management=Management(ipv6="off"), time=time))
    assert {"DHCP=ipv4", "LinkLocalAddressing=no", "IPv6AcceptRA=no", "UseNTP=no"} <= set(lines)
    assert [line for line in lines if line.startswith("NTP=")] == ["NTP=ntp.example", "NTP=192.0.2.1"]


def _server(lines: list[str]) -> list[str]:
    begin = lines.index("[DHCPServer]")
    return lines[begin + 1 : lines.index("", begin)]


def test_a_dhcp_server_for_others() -> None:
    management = Management(mode="server", address="192.168.1.20/24", dns=("192.168.1.5", "2001:db8::1"))
    lines = _lines(Settings(management=management))
    assert {"DHCP=no", "Address=192.168.1.20/24", "DHCPServer=yes"} <= set(lines)
    assert _server(lines) == [
        "PoolOffset=100",
        "PoolSize=100",
        "PersistLeases=no",
        "EmitNTP=no",
        "EmitTimezone=no",
        "ServerAddress=192.168.1.20/24",
        "EmitDNS=yes",
        "DNS=192.168.1.5",
        "EmitRouter=no",
    ]
    own = {"lease_first": "192.168.1.7", "lease_last": "192.168.1.9", "gateway": "192.168.1.1", "dns": ()}
    server = _server(_lines(Settings(management=management.model_copy(update=own))))
    assert server[:2] == ["PoolOffset=7", "PoolSize=3"]
    assert {"EmitRouter=yes", "Router=192.168.1.1", "EmitDNS=no"} <= set(server)


def test_further_management_ports_come_after_the_first() -> None:
    second = Addressing(mode="static", address="192.168.2.20/24")
    settings = Settings(management=Management(mode="static", address="192.168.1.20/24", second=second))
    assert {"DHCP=no", "Address=192.168.2.20/24", "RouteMetric=200"} <= set(_lines(settings, name="mgmt1"))
    assert {"DHCP=yes", "RouteMetric=300"} <= set(_lines(settings, name="mgmt2"))


@pytest.mark.spec("N3")
def test_a_temporary_address_comes_beside_the_own_one() -> None:
    claim = Claim("192.168.77.1/24")
    lines = _lines(Settings(), claim)
    assert {"DHCP=yes", "Address=192.168.77.1/24"} <= set(lines)
    assert "DHCPServer=yes" not in lines
    assert "Address=192.168.77.1/24" not in _lines(Settings(), claim, "mgmt1")
    static = Settings(management=Management(mode="static", address="192.168.77.1/24"))
    assert _lines(static, claim).count("Address=192.168.77.1/24") == 1


@pytest.mark.spec("N3")
def test_a_dhcp_server_at_the_temporary_address_only_if_asked_for() -> None:
    lines = _lines(Settings(), Claim("192.168.77.2/24", dhcp_server=True))
    assert {"DHCP=ipv6", "Address=192.168.77.2/24", "DHCPServer=yes"} <= set(lines)
    assert "ServerAddress=192.168.77.2/24" in _server(lines)
    assert "PoolOffset=100" in _server(lines)
