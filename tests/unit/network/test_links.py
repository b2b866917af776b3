import pytest

from allegro.errors import InvalidInput
from allegro.network.links import Link, LinkPlan, check_pairs, network_files, plan
from allegro.settings.network import Links, Pair

pytestmark = pytest.mark.spec("L1")


@pytest.mark.parametrize(
    ("ports", "links", "receive_only"),
    [
        ([], (), ()),
        (["port1"], (), ("port1",)),
        (["port1", "port2"], (Link("br1", ("port1", "port2")),), ()),
        (["port1", "port2", "port3"], (Link("br1", ("port1", "port2")),), ("port3",)),
        (
            ["port4", "port3", "port2", "port1"],
            (Link("br1", ("port1", "port2")), Link("br2", ("port3", "port4"))),
            (),
        ),
        (["port2", "port3"], (), ("port2", "port3")),  # a missing port never pairs strangers
        (["port9", "port10"], (Link("br5", ("port9", "port10")),), ()),
    ],
)
def test_pairs_form_links_and_the_rest_only_receives(
    ports: list[str], links: tuple[Link, ...], receive_only: tuple[str, ...]
) -> None:
    assert plan(Links(), [*ports, "mgmt0", "wlan0"]) == LinkPlan(links, receive_only)


def test_in_sink_mode_every_port_only_receives() -> None:
    assert plan(Links(mode="sink"), ["mgmt0", "port2", "port1"]) == LinkPlan((), ("port1", "port2"))
    files = network_files(plan(Links(mode="sink"), ["port1", "port2"]))
    assert sorted(files) == ["port1.network", "port2.network"]


BRIDGE = """\
[NetDev]
Name=br1
Kind=bridge
MTUBytes=1500

[Bridge]
STP=no
ForwardDelaySec=0
MulticastSnooping=no
MulticastQuerier=no
GroupForwardMask=65528
"""

SILENT = """
[Network]
DHCP=no
LinkLocalAddressing=no
IPv6AcceptRA=no
IPv4ReversePathFilter=strict
LLDP=no
EmitLLDP=no
LLMNR=no
MulticastDNS=no
ConfigureWithoutCarrier=yes
IgnoreCarrierLoss=yes
"""

PORT = (
    """\
[Match]
Name=port2

[Link]
MTUBytes=1500
ARP=no
RequiredForOnline=no
"""
    + SILENT
    + """\
Bridge=br1

[Bridge]
Learning=no
UnicastFlood=yes
MulticastFlood=yes
MulticastToUnicast=no
HairPin=no

[PFIFO]
Parent=root
PacketLimit=4096
"""
)

RECEIVE_ONLY = (
    """\
[Match]
Name=port3

[Link]
MTUBytes=1500
ARP=no
RequiredForOnline=no
Promiscuous=yes
AllMulticast=yes
"""
    + SILENT
)


@pytest.mark.spec("L3")
def test_the_files() -> None:
    files = network_files(plan(Links(), ["port1", "port2", "port3"]))
    assert sorted(files) == ["br1.netdev", "br1.network", "port1.network", "port2.network", "port3.network"]
    assert files["br1.netdev"] == BRIDGE
    assert files["br1.network"] == PORT.replace("port2", "br1").split("Bridge=")[0]
    assert files["port2.network"] == PORT
    assert files["port3.network"] == RECEIVE_ONLY


def test_pairs_can_do_something_else() -> None:
    ports = ["port1", "port2", "port3", "port4", "port5"]
    one_sink = Links(pairs=(Pair(pair=1, mode="sink"), Pair(pair=2, mode="bridge")))
    assert plan(one_sink, ports) == LinkPlan((Link("br2", ("port3", "port4")),), ("port1", "port2", "port5"))
    one_link = Links(mode="sink", pairs=(Pair(pair=1, mode="bridge"), Pair(pair=3, mode="bridge")))
    assert plan(one_link, ports) == LinkPlan((Link("br1", ("port1", "port2")),), ("port3", "port4", "port5"))


def test_a_link_has_the_frame_size_that_both_of_its_ports_can() -> None:
    files = network_files(plan(Links(), ["port1", "port2", "port3"]), {"port1": 16110, "port2": 9000})
    assert "MTUBytes=9000" in files["port1.network"]
    assert "MTUBytes=9000" in files["port2.network"]
    assert "MTUBytes=9000" in files["br1.netdev"]
    assert "MTUBytes=1500" in files["port3.network"]
    files = network_files(plan(Links(), ["port1", "port2", "port3"]), {"port1": 16110, "port3": 65535})
    assert "MTUBytes=1500" in files["port1.network"], "the other one does not say what it can"
    assert "MTUBytes=9216" in files["port3.network"], "enough for every switch"


@pytest.mark.spec("L1")
def test_frames_of_all_flows_wait_in_one_queue() -> None:
    files = network_files(plan(Links(), ["port1", "port2", "port3"]))
    for name in ("port1", "port2"):
        assert "[PFIFO]\nParent=root\nPacketLimit=4096\n" in files[f"{name}.network"]
    assert "[PFIFO]" not in files["port3.network"], "it sends nothing"


@pytest.mark.spec("L1")
def test_a_new_pair_of_which_there_is_no_port_is_refused_at_its_row() -> None:
    wanted = Links.model_validate({"pairs": [{"pair": 2, "mode": "sink"}, {"pair": 7, "mode": "sink"}]})
    ports = ["port1", "port2", "port3", "mgmt0"]
    with pytest.raises(InvalidInput, match=r"no pair 7: .* are port1, port2, port3.$") as refused:
        check_pairs(Links(), wanted, ports)
    assert refused.value.place == "links.pairs.1.pair"
    check_pairs(wanted, wanted, ports)
    check_pairs(Links(), wanted, ["mgmt0"])
