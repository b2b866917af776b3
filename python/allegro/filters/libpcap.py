"""Expressions of pcap-filter(7), compiled by libpcap itself.

By ctypes, because pypcap hands out neither the program nor what libpcap says of a mistake. libpcap looks up
names of hosts, networks and ports wherever the device could: a filter would mean something else each time,
and saving one could wait for a name server. So names are refused before libpcap sees them.
"""

from __future__ import annotations

import ctypes
import ipaddress
import re
import threading
from functools import cache, lru_cache

_LIBRARIES = ("libpcap.so.1", "libpcap.so.0.8")  # its own name, and Debian's
_ETHERNET = 1  # DLT_EN10MB
_SNAPLEN = 262144  # with 0 libpcap finds that nothing can ever match
_NO_NETMASK = 0xFFFFFFFF  # PCAP_NETMASK_UNKNOWN: `broadcast` of IP is then refused
_OPTIMISED = 35
"""Numbers and addresses. For 240 ports in a row libpcap's optimiser takes ten seconds, for 35 it is quick."""
_INSTRUCTION_SIZE = 8  # struct bpf_insn

# Without `inbound`, `outbound` and `ifindex`: a frame in a file does not tell.
_KEYWORDS = frozenset(
    "dst src link ether fddi tr wlan ppp slip arp rarp ip ip6 sctp tcp udp icmp icmp6 igmp igrp"  # noqa: SIM905
    " pim vrrp carp ah esp atalk aarp decnet lat sca moprc mopdl iso esis es-is isis is-is l1 l2"
    " iih lsp snp csnp psnp clnp stp ipx netbeui host net mask port portrange proto less greater"
    " byte broadcast multicast and or not len length vlan mpls pppoed pppoes geneve llc icmptype"
    " icmpcode icmp-echoreply icmp-unreach icmp-sourcequench icmp-redirect icmp-echo"
    " icmp-routeradvert icmp-routersolicit icmp-timxceed icmp-paramprob icmp-tstamp"
    " icmp-tstampreply icmp-ireq icmp-ireqreply icmp-maskreq icmp-maskreply icmp6type icmp6code"
    " icmp6-echo icmp6-echoreply icmp6-destinationunreach icmp6-packettoobig icmp6-timeexceeded"
    " icmp6-parameterproblem icmp6-routersolicit icmp6-routeradvert icmp6-neighborsolicit"
    " icmp6-neighboradvert icmp6-redirect tcpflags tcp-fin tcp-syn tcp-rst tcp-push tcp-ack"
    " tcp-urg tcp-ece tcp-cwr".split()
)
_PROTOCOLS = frozenset(
    "ip ip6 arp rarp icmp icmp6 igmp igrp pim ah esp vrrp carp udp tcp sctp"  # noqa: SIM905
    " atalk aarp decnet iso stp ipx netbeui lat moprc mopdl sca loopback".split()
)
"""What may follow `proto` behind a backslash; libpcap has tables of these."""
_WORD = re.compile(r"\\[^\s!()]*|:*\w[\w.:-]*")
_HEX = "[0-9A-Fa-f]"
_RANGE = re.compile(r"\d+-\d+")
_NUMBERS = re.compile(
    rf"\d+(?:\.\d+){{0,3}}|\d+:\d+|0[xX]{_HEX}+"
    rf"|{_HEX}{{1,2}}(?:([:.-]){_HEX}{{1,2}})(?:\1{_HEX}{{1,2}}){{4}}|{_HEX}{{4}}(?:\.{_HEX}{{4}}){{2}}|{_HEX}{{12}}"
)
"""Numbers, parts of IPv4 addresses, offset and size in brackets; MAC addresses."""


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_uint), ("instructions", ctypes.c_void_p))


_compiling = threading.Lock()


@lru_cache(64)  # the same one is compiled to be checked, and to be used
def compiled(expression: str) -> bytes:
    """The instructions (struct sock_filter) of an expression for Ethernet frames.

    Raises ValueError with libpcap's words for a mistake, and for what is refused here.
    """
    words = _words(expression)
    optimise = sum(word[0].isdigit() or _is_ipv6(word) for word in words) <= _OPTIMISED
    library = _library()
    with _compiling:
        handle = library.pcap_open_dead(_ETHERNET, _SNAPLEN)
        if not handle:
            raise ValueError("libpcap has no memory for it")
        try:
            program = _Program()
            wrong = library.pcap_compile(
                handle, ctypes.byref(program), expression.encode(), optimise, _NO_NETMASK
            )
            if wrong:
                message = library.pcap_geterr(handle).decode("utf-8", "replace")
                raise ValueError(message.removeprefix("can't parse filter expression: "))
            try:
                return ctypes.string_at(program.instructions, program.count * _INSTRUCTION_SIZE)
            finally:
                library.pcap_freecode(ctypes.byref(program))
        finally:
            library.pcap_close(handle)


def _words(expression: str) -> list[str]:
    """The words of an expression; raises ValueError for what libpcap might look up."""
    if not expression.isascii() or "\0" in expression:
        raise ValueError("it has characters that are not ASCII")
    words: list[str] = _WORD.findall(expression)
    qualifier = ""
    for word in words:
        if word == "protochain":
            raise ValueError("protochain is not possible here: its programs need not end")
        if not (word in _KEYWORDS or _is_value(word, qualifier)):
            raise ValueError(
                f"{word} is not possible here: names are not looked up, write addresses and numbers"
            )
        if word in _KEYWORDS and word not in ("and", "or", "not"):
            qualifier = word
    return words


def _is_value(word: str, qualifier: str) -> bool:
    """Whether libpcap reads it as a value, and not as a name: elsewhere, `1-2` is one, and `\\x` as well."""
    if word.startswith("\\"):
        return qualifier == "proto" and word[1:] in _PROTOCOLS
    if _RANGE.fullmatch(word):
        return qualifier == "portrange"
    return bool(_NUMBERS.fullmatch(word)) or _is_ipv6(word)


def _is_ipv6(word: str) -> bool:
    try:
        ipaddress.IPv6Address(word)
    except ValueError:
        return False
    return True


@cache
def _library() -> ctypes.CDLL:
    for name in _LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pcap_open_dead.restype = ctypes.c_void_p
        library.pcap_open_dead.argtypes = [ctypes.c_int, ctypes.c_int]
        library.pcap_compile.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32,
        ]  # fmt: skip
        library.pcap_geterr.restype = ctypes.c_char_p
        library.pcap_geterr.argtypes = [ctypes.c_void_p]
        library.pcap_freecode.argtypes = [ctypes.c_void_p]
        library.pcap_close.argtypes = [ctypes.c_void_p]
        return library
    raise ValueError("libpcap, which understands it, is not on this device")
