"""Expressions of pcap-filter: compiled by libpcap, but without names, which it would look up."""

import pytest

from allegro.filters import libpcap
from tests.harness.judge import Judge
from tests.harness.layers import ethernet, ipv4, ipv6, tcp, udp

pytestmark = pytest.mark.spec("F2", "F5")

WEB = ethernet(0x0800, ipv4(6, tcp(50000, 80)))


@pytest.mark.parametrize(
    "expression",
    [
        "tcp port 80 and src host 192.0.2.1",
        "ip proto \\tcp",
        "ether host 02:a1:1e:00:00:09",
        "ether src 02a1.1e00.0009",
        "ip[0] & 0xf == 5 and ip[2:2] > 20",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) = 0",
        "icmp[icmptype] = icmp-echoreply or icmp6[icmp6type] = icmp6-neighborsolicit or tcp",
        "net 192.0.2.0/24 and portrange 70-90",
        "portrange 7-9 or 70-90",
        "ip proto (\\udp or \\tcp)",
        "!(vlan or ip6 or host fe80::1)",
        "",
    ],
)
def test_what_libpcap_understands_is_compiled(expression: str) -> None:
    assert Judge()(expression, WEB, len(WEB))


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("tcp port", "syntax error"),
        ("host fe80::1/64", "non-network bits set"),
        ("ip broadcast", "netmask not known"),
        ("tcp prt 80", "prt is not possible here"),
        ("host server.example.org", "server.example.org is not possible here: names are not looked up"),
        ("cafe", "cafe is not possible here"),
        ("host cafe:1", "cafe:1 is not possible here"),
        ("port http", "http is not possible here"),
        ("len-4 > 5", "len-4 is not possible here"),
        ("inbound", "inbound is not possible here"),
        ("host 1-2", "1-2 is not possible here"),
        ("portrange 1-2 or host 3-4", "3-4 is not possible here"),
        ("host 1-2-3-4", "1-2-3-4 is not possible here"),
        *(
            (f"{before} \\http", "http is not possible here: names are not looked up")
            for before in ("host", "src", "net", "port", "ether host", "proto", "proto \\tcp or host", "")
        ),
        ("proto \\tcp or host \\udp", "udp is not possible here: names are not looked up"),
        ("ip6 protochain 6", "its programs need not end"),
        ("host 192.0.2.1\0", "not ASCII"),
        ("port \u0668", "not ASCII"),
    ],
)
def test_mistakes_and_names_are_refused_in_words(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        libpcap.compiled(expression)


def test_a_long_expression_means_what_it_says() -> None:
    """It is not optimised."""
    expression = " or ".join(f"port {number}" for number in range(1, 300))
    judge = Judge()
    for port in (1, 80, 299, 300):
        for frame in (
            ethernet(0x0800, ipv4(6, tcp(50000, port))),
            ethernet(0x86DD, ipv6(17, udp(port, 50000))),
        ):
            assert judge(expression, frame, len(frame)) == (port < 300)
