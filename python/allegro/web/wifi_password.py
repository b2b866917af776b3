"""The WiFi password that a device makes for itself when somebody logs in for the first time.

Random, so that no two devices have the same one and none can be derived from what a device says of itself.
"""

import asyncio
import math
import secrets
from dataclasses import dataclass

from markupsafe import Markup

from allegro.errors import AllegroError, InvalidInput
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
    """A network with its password, for a person to read and for a phone to scan."""

    ssid: str
    password: str
    code: Markup


async def offered(visit: Visit) -> Offer | None:
    """The password that is to take the place of the first one, the same for as long as somebody is logged in.

    None for who may not change it, and where the first one is not in force, or that cannot be known.
    """
    if not (visit.user.must_change and visit.may("admin")):
        return None
    try:
        async with asyncio.timeout(_ANSWERS_S):
            if not await _is_first(visit):
                return None
            ssid = await _ssid(visit)
    except (AllegroError, TimeoutError):
        return None
    visit.session.wifi_offer = visit.session.wifi_offer or made()
    return _offer(ssid, visit.session.wifi_offer)


async def chosen(visit: Visit) -> Offer | None:
    """The one that was chosen since this login, to join with; None if none was."""
    password = visit.session.wifi_password
    return _offer(await _ssid(visit), password) if password else None


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


async def _ssid(visit: Visit) -> str:
    point = (await visit.api.get("/settings/wifi"))["access_point"]
    return str(point["ssid"]) or visit.site.host_name


def _offer(ssid: str, password: str) -> Offer:
    return Offer(ssid, password, qr.svg(qr.wifi(ssid, password)))
