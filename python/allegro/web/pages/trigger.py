"""USB capture trigger: what a press of the presenter cuts out, and which presenters are known."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from allegro.settings.patches import digest
from allegro.web.forms import Form, Values
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit, see

TRY = "/trigger/try"
LAST_MINUTE = timedelta(seconds=60)
NONE_KNOWN = "No presenter is known any more: no key triggers a capture."


def _warnings(saved: Values) -> Sequence[str]:
    return () if saved["presenters"] else (NONE_KNOWN,)


async def _question(_visit: Visit, seen: Values, wanted: Values) -> str:
    if seen["presenters"] and not wanted["presenters"]:
        return "Remove the last presenter? No key triggers a capture then."
    return ""


SECTION = Section("trigger", leave_out=("rows",), warnings=_warnings, ask=_question)


def _row(name: str, condition: str) -> dict[str, str]:
    limits = {"format": "pcapng", "packet_length": "0", "size_limit_mib": "0"}
    return {"enabled": "on", "key": "any", "name": name, "filter": condition, **limits}


def _tried(made: Form) -> Form:
    return replace(made, fields=tuple(replace(each, try_at=TRY) for each in made.fields))


TABLE = Section(
    "trigger",
    only=("rows",),
    finish=_tried,
    templates={
        "firewall": (_row("before", "interface == port1"), _row("behind", "interface == port2")),
        "addresses": tuple(
            _row(name, f"ip == 192.0.2.{number}")
            for number, name in enumerate(("first", "second", "third", "fourth"), 1)
        ),
    },
)
"""The two examples of the manual, as rows."""


async def _show(visit: Visit, form: Form, status: int) -> Response:
    return await _both(visit, form, await TABLE.present(visit), status)


async def _show_table(visit: Visit, table: Form, status: int) -> Response:
    return await _both(visit, await SECTION.present(visit), table, status)


async def _both(visit: Visit, form: Form, table: Form, status: int) -> Response:
    inputs = await presenters(visit)
    return visit.render("trigger.html", status=status, form=form, table=table, **inputs)


async def _live(visit: Visit) -> Response:
    return visit.render("parts/trigger_live.html", **await presenters(visit))


async def presenters(visit: Visit) -> dict[str, Any]:
    """Those that are plugged in, whether any is known at all, and what else is plugged in."""
    plugged_in = (await visit.api.get("/status"))["presenters"]
    known = plugged_in or (await visit.api.get("/settings/trigger"))["presenters"]
    return {"presenters": plugged_in, "known": bool(known), "inputs": await visit.api.get("/presenters")}


async def _learn(visit: Visit) -> Response:
    await visit.api.post("/presenters/learn", {"seconds": 60})
    return visit.done("Press any key of the new presenter now.")


async def _forget(visit: Visit) -> Response:
    await visit.api.delete("/presenters/learn")
    return see(PAGE.path)


async def use(visit: Visit) -> Response:
    """Adds a presenter to the table, if nobody has changed that since it was read here."""
    settings = await visit.api.get("/settings/trigger")
    new = {name: visit.typed(name) for name in ("vendor", "product", "name")}
    changes = {"presenters": [*settings["presenters"], new]}
    await visit.api.patch("/settings/trigger", changes, if_match=digest(settings))
    await visit.api.delete("/presenters/learn")
    return visit.done(f"The keys of {new['name']} trigger captures from now on.")


async def _try_row(visit: Visit) -> Response:
    """Leads to the packets of the last minute that a row, as it is typed, lets through."""
    now = datetime.now(UTC)
    window = {name: f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in (("start", now - LAST_MINUTE), ("end", now))}
    condition = visit.typed(f"trigger.rows.{visit.typed('row')}.filter")
    return see(f"/packets?{urlencode({**window, 'filter': condition})}")


async def tone(visit: Visit) -> Response:
    """Plays the test tone."""
    await visit.api.post("/presenters/tone", {"signal": "complete"})
    return visit.done("Two short tones were played.")


PAGE = Page(
    title="USB capture trigger",
    path="/trigger",
    manual="presenter",
    group=("Settings", "Expert settings"),
    actions=(
        *SECTION.actions("/trigger", _show),
        Action("GET", "/trigger/live", _live, every_s=2),
        Action("POST", "/trigger/learn", _learn, role="admin"),
        Action("POST", "/trigger/forget", _forget, role="admin"),
        Action("POST", "/trigger/use", use, role="admin"),
        Action("POST", "/trigger/tone", tone, role="admin"),
        Action("POST", TRY, _try_row, role="admin"),
        Action("POST", "/trigger/table", TABLE.saver(_show_table), role="admin"),
    ),
)
