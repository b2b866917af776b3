import pytest

from allegro.network.management import network_files
from allegro.settings.model import Management

pytestmark = pytest.mark.spec("N1")

DHCP = """\
[Match]
Name=mgmt0

[Link]
RequiredForOnline=no

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
RouteMetric=100

[DHCPv6]
DUIDType=link-layer
SendHostname=yes
UseHostname=no

[IPv6AcceptRA]
RouteMetric=100
"""


def test_dhcp_is_the_default() -> None:
    assert network_files(Management(), ["mgmt0"]) == {"mgmt0.network": DHCP}


def test_a_static_address() -> None:
    settings = Management(
        mode="static", address="192.168.1.20/24", gateway="192.168.1.1", dns=("192.168.1.1", "2001:db8::1")
    )
    text = network_files(settings, ["mgmt0"])["mgmt0.network"]
    lines = text.splitlines()
    assert "DHCP=no" in lines
    assert "Address=192.168.1.20/24" in lines
    assert lines[lines.index("[Route]") + 1 : lines.index("[Route]") + 3] == [
        "Gateway=192.168.1.1",
        "Metric=100",
    ]
    assert [line for line in lines if line.startswith("DNS=")] == ["DNS=192.168.1.1", "DNS=2001:db8::1"]
    without = settings.model_copy(update={"gateway": "", "dns": ()})
    assert "[Route]" not in network_files(without, ["mgmt0"])["mgmt0.network"]


def test_a_second_management_port_asks_dhcp_and_comes_after_the_first() -> None:
    settings = Management(mode="static", address="192.168.1.20/24")
    files = network_files(settings, ["mgmt0", "mgmt1"])
    assert "DHCP=yes" in files["mgmt1.network"]
    assert "RouteMetric=200" in files["mgmt1.network"]
    assert "Address=" not in files["mgmt1.network"]
    assert network_files(settings, []) == {}
