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
from functools import cache

_LIBRARIES = ("libpcap.so.1", "libpcap.so.0.8")  # its own name, and Debian's
_ETHERNET = 1  # DLT_EN10MB
_SNAPLEN = 262144  # with 0 libpcap finds that nothing can ever match
_NO_NETMASK = 0xFFFFFFFF  # PCAP_NETMASK_UNKNOWN: `broadcast` of IP is then refused
_OPTIMISED = 512
"""Characters. For 240 ports in a row libpcap's optimiser takes ten seconds, for 35 it is quick."""
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
_WORD = re.compile(r"\\[^\s!()]+|:*\w[\w.:-]*")
_HEX = "[0-9A-Fa-f]"
_NUMBERS = re.compile(
    rf"\d+(?:[.:-]\d+){{0,3}}|0[xX]{_HEX}+"
    rf"|{_HEX}{{1,2}}(?:([:.-]){_HEX}{{1,2}})(?:\1{_HEX}{{1,2}}){{4}}|{_HEX}{{4}}(?:\.{_HEX}{{4}}){{2}}|{_HEX}{{12}}"
)
"""Numbers, parts of IPv4 addresses, ranges of ports, offset and size in brackets; MAC addresses."""


class _Program(ctypes.Structure):
    _fields_ = (("count", ctypes.c_uint), ("instructions", ctypes.c_void_p))


_compiling = threading.Lock()


def compiled(expression: str) -> bytes:
    """The instructions (struct sock_filter) of an expression for Ethernet frames.

    Raises ValueError with libpcap's words for a mistake, and for what is refused here.
    """
    _refuse_names(expression)
    library = _library()
    with _compiling:
        handle = library.pcap_open_dead(_ETHERNET, _SNAPLEN)
        if not handle:
            raise ValueError("libpcap has no memory for it")
        try:
            program = _Program()
            wrong = library.pcap_compile(
                handle, ctypes.byref(program), expression.encode(), len(expression) <= _OPTIMISED, _NO_NETMASK
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


def _refuse_names(expression: str) -> None:
    if not expression.isascii() or "\0" in expression:
        raise ValueError("it has characters that are not ASCII")
    for word in _WORD.findall(expression):
        if word == "protochain":
            raise ValueError("protochain is not possible here: its programs need not end")
        if not (word in _KEYWORDS or word[0] == "\\" or _NUMBERS.fullmatch(word) or _is_ipv6(word)):
            raise ValueError(
                f"{word} is not possible here: names are not looked up, write addresses and numbers"
            )


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
