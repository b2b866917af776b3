"""The WiFi password that a device makes for itself: offered as long as the first one holds.

Random, so that no two devices have the same one and none can be derived from what a device says of itself.
"""

import asyncio
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from allegro.errors import AllegroError, InvalidInput
from allegro.joining import wifi as to_join
from allegro.web import qr
from allegro.web.site import Visit

_CONSONANTS = "bdfghjklmnprstvz"
_VOWELS = "aeiou"
_WORDS = 6
_SYLLABLES = 2  # in each word
ENTROPY_BITS = _WORDS * _SYLLABLES * math.log2(len(_CONSONANTS) * len(_VOWELS))
"""75.8: twelve syllables of 80 that are spoken as they are written, in most languages."""

_ANSWERS_S = 10.0


def made() -> str:
    """A new one: six words of four letters, such as `bafu-kilo-…`."""
    words = (
        "".join(secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _ in range(_SYLLABLES))
        for _ in range(_WORDS)
    )
    return "-".join(words)


@dataclass(frozen=True)
class Offer:
    """A network with its password, for a person to read and for a phone to scan.

    `is_on`: it is there now, so that somebody may be in it.
    """

    ssid: str
    password: str
    code: Markup
    is_on: bool


async def offered(visit: Visit) -> Offer | None:
    """The password that is to take the place of the first one, the same for as long as somebody is logged in.

    None for who may not change it, and where the first one is not in force, or that cannot be known.
    """
    if not visit.may("admin"):
        return None
    try:
        async with asyncio.timeout(_ANSWERS_S):
            wifi = await visit.api.get("/wifi")
            if not wifi["first_password"]:
                return None
            offer = await _offer(visit, wifi, visit.session.wifi_offer or made())
    except (AllegroError, TimeoutError):
        return None
    visit.session.wifi_offer = offer.password
    return offer


async def chosen(visit: Visit) -> Offer | None:
    """The one that was chosen since this login, to join with; None if none was."""
    password = visit.session.wifi_password
    return await _offer(visit, await visit.api.get("/wifi"), password) if password else None


def check(password: str) -> None:
    """Raises InvalidInput for one that somebody typed and that is none, or known to everybody."""
    from allegro.settings.masks import MASK  # as forms do: not at the start
    from allegro.settings.wifi import FIRST_PASSWORD, wpa_password

    try:
        wpa_password(password)
    except ValueError as error:
        raise InvalidInput(f"This {error}.", place="wifi") from None
    if password in (FIRST_PASSWORD, MASK):
        raise InvalidInput("Everybody can guess this password.", place="wifi", remedy="Choose another one.")


async def save(visit: Visit, password: str) -> bool:
    """Puts it in the place of the first one; leaves another one alone, and says so. Raises AllegroError."""
    visit.session.wifi_offer = ""
    if not await _is_first(visit):
        return False
    await visit.api.patch("/settings", {"wifi": {"access_point": {"password": password}}})
    visit.session.wifi_password = password
    return True


async def _is_first(visit: Visit) -> bool:
    return bool((await visit.api.get("/wifi"))["first_password"])


async def _offer(visit: Visit, wifi: Mapping[str, Any], password: str) -> Offer:
    """The name is that which is sent now; of a network that is not, the one that it will have."""
    is_on = wifi["mode"] == "access-point" and bool(wifi["ssid"])
    ssid: str = wifi["ssid"] if is_on else (await visit.api.get("/settings/wifi"))["access_point"]["ssid"]
    ssid = ssid or (await visit.api.get("/status"))["name"]
    return Offer(ssid, password, qr.svg(to_join(ssid, password)), is_on)
