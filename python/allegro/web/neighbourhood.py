"""Whom to count as one: an address of IPv4, a /64 of IPv6; how to show addresses. No I/O."""

import ipaddress


def neighbourhood(address: str) -> str:
    """Who has one IPv6 address has its whole /64 (RFC 4291, 2.5.1); a mapped IPv4 address is that."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def readable(address: str) -> str:
    """As people write it: without the form that IPv4 has on a socket of IPv6 (RFC 4291, 2.5.5.2)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
