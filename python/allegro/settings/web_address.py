"""Addresses of web servers, as settings hold them."""

import ipaddress
import re
from urllib.parse import urlsplit

from allegro.settings.base import of_one_device
from allegro.settings.network import is_host


def web_address(value: str) -> str:
    """An address (https:// or http://) without user name and fragment, or nothing. Raises ValueError."""
    if not value:
        return value
    try:
        parts = urlsplit(value)
        host = (parts.hostname or "").removesuffix(".")
        names_a_server = is_host(host) and parts.port != 0
    except ValueError:
        host, names_a_server = "", False
    if (address := _ip_address(host)) is not None:
        of_one_device(address)
    if not (names_a_server and re.fullmatch(r"https?://[\x21-\x7e]+", value)):
        raise ValueError("is not an address that begins with https:// or http:// and names a server")
    if parts.username is not None or parts.fragment:
        raise ValueError("must not hold a user name, or anything behind #")
    return value


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
