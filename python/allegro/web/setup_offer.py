"""When the set-up is offered: at the first log-in, and until it is finished on the dashboard."""

import contextlib

from allegro.accounts.users import FIRST_USER
from allegro.errors import AllegroError
from allegro.first_steps import STEPS, Step
from allegro.web.site import Visit

PATH = "/setup"


def is_first(visit: Visit) -> bool:
    """Whether this is the first log-in to a new device, before the own password is chosen."""
    return visit.user.must_change and [user.name for user in visit.site.users.all()] == [FIRST_USER]


async def begin(visit: Visit) -> None:
    """Notes that the set-up has begun, if that is still to be done after the first log-in.

    However long the device takes, and whether or not it can be noted now: it is tried again at the next look.
    """
    if visit.session.setup_begins:
        with contextlib.suppress(AllegroError):
            await visit.api.put(PATH, {"step": STEPS[0]})
            visit.session.setup_begins = False


async def unfinished(visit: Visit) -> Step | None:
    """The step at which it was left; None if there is none, or nobody to be reminded."""
    if not visit.may("admin"):
        return None
    await begin(visit)
    place = (await visit.api.get(PATH))["step"]
    return place if place in STEPS else None
