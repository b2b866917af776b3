"""Addresses of web servers, as settings hold them."""

import re
from urllib.parse import urlsplit

from allegro.settings.network import is_host


def web_address(value: str) -> str:
    """An address (https:// or http://) without user name and fragment, or nothing. Raises ValueError."""
    if not value:
        return value
    try:
        parts = urlsplit(value)
        names_a_server = is_host((parts.hostname or "").removesuffix(".")) and parts.port != 0
    except ValueError:
        names_a_server = False
    if not (names_a_server and re.fullmatch(r"https?://[\x21-\x7e]+", value)):
        raise ValueError("is not an address that begins with https:// or http:// and names a server")
    if parts.username is not None or parts.fragment:
        raise ValueError("must not hold a user name, or anything behind #")
    return value
