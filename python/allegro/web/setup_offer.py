"""When the set-up is offered: at the first log-in, and until it is finished on the dashboard."""

import asyncio

from allegro.accounts.users import FIRST_USER
from allegro.errors import AllegroError
from allegro.first_steps import STEPS, Step
from allegro.web.site import Visit

PATH = "/setup"
_ANSWERS_S = 10.0


def is_first(visit: Visit) -> bool:
    """Whether this is the first log-in to a new device, before the own password is chosen."""
    return visit.user.must_change and [user.name for user in visit.site.users.all()] == [FIRST_USER]


async def begin(visit: Visit) -> bool:
    """False if it cannot be noted: then it is not offered."""
    try:
        async with asyncio.timeout(_ANSWERS_S):
            await visit.api.put(PATH, {"step": STEPS[0]})
    except (AllegroError, TimeoutError):
        return False
    return True


async def unfinished(visit: Visit) -> Step | None:
    """The step at which it was left; None if there is none, or nobody to be reminded."""
    if not visit.may("admin"):
        return None
    place = (await visit.api.get(PATH))["step"]
    return place if place in STEPS else None
