"""Links and groups: which port is what, and how the measuring ports are joined."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from starlette.responses import Response

from allegro.api.client import ApiError, segment
from allegro.errors import AllegroError
from allegro.web import port_picture
from allegro.web.forms import Field, Form, Values, with_error
from allegro.web.pages.section import Section
from allegro.web.site import Action, Page, Visit

PATH = "/links"
NAMED = 4
"""So many pairs are named in a question."""


def question(seen: Values, wanted: Values, there: AbstractSet[str]) -> str:
    """What is asked before a line is cut between ports that are `there`.

    Empty if none is, or if the values are not valid ones.
    """
    from allegro.settings.network import Links  # as in section: not at the start

    try:
        cut = Links.model_validate(seen).cuts(Links.model_validate(wanted))
    except ValueError:
        return ""
    ports = [(f"port{2 * pair - 1}", f"port{2 * pair}") for pair in cut]
    pairs = [" and ".join(both) for both in ports if there >= set(both)]
    if not pairs:
        return ""
    named = ", ".join(pairs[:NAMED]) + (", and so on" if len(pairs) > NAMED else "")
    return (
        f"Cut the line between {named}? What is connected to each other by this device is not any more."
        " The change is taken back by itself unless you confirm it afterwards."
    )


async def _ask(visit: Visit, seen: Values, wanted: Values) -> str:
    ports = (await visit.api.get("/network"))["ports"]
    return question(seen, wanted, {port["name"] for port in ports})


SECTION = Section("links", ask=_ask)
GROUPS = Section("groups")
SPARE_MANAGEMENT = ("mgmt0", "mgmt1")

Port = Mapping[str, Any]


def partners(ports: Sequence[Port]) -> dict[str, str]:
    """Port → the port that it forms a link with."""
    return {
        one["name"]: other["name"]
        for one in ports
        for other in ports
        if one["link"] and one["link"] == other["link"] and one is not other
    }


def assignment(ports: Sequence[Port], wanted: Mapping[str, str]) -> Form:
    """Which name each port that is there gets: `wanted`, else the one it has."""
    measuring = (f"port{number}" for number in range(1, len(ports) + 1))
    names = {*SPARE_MANAGEMENT, *measuring, *(port["name"] for port in ports)}
    choices = tuple((name, name) for name in sorted(names, key=_by_number))
    fields = (
        Field(
            f"ports.{port['name']}",
            "select",
            f"{port['name']} becomes",
            help=f"{port['driver'] or 'port'}, {port['key']}",
            value=wanted.get(port["name"], port["name"]),
            choices=choices,
        )
        for port in ports
        if port["present"]
    )
    return Form(tuple(fields))


def _by_number(name: str) -> tuple[str, int]:
    return name[:4], int(name[4:])


def touched(groups: Sequence[Mapping[str, str]], ports: Sequence[Port]) -> list[dict[str, Any]]:
    """Of each group: the measuring ports that it touches, and those it names that are not there."""
    measuring = [port["name"] for port in ports if port["role"] == "measuring" and port["present"]]
    found = []
    for group in groups:
        named = group["interfaces"].split(", ") if group["interfaces"] else measuring
        found.append(
            {
                "name": group["name"],
                "ports": [name for name in named if name in measuring],
                "missing": [name for name in named if name not in measuring],
                "filter": _in_words(group),
            }
        )
    return found


def _in_words(group: Mapping[str, str]) -> str:
    """Its criteria but for the ports."""
    kinds = {"vlans": "VLAN", "mpls": "MPLS", "vxlan": "VXLAN"}
    return "; ".join(f"{words} {group[name]}" for name, words in kinds.items() if group[name])


async def _show(
    visit: Visit, form: Form, status: int, names: Form | None = None, groups: Form | None = None
) -> Response:
    network = await visit.api.get("/network")
    ports = network["ports"]
    ring = await visit.api.get("/ring")
    in_force = (await visit.api.get("/settings/groups"))["links"]
    return visit.render(
        "links.html",
        status=status,
        form=form,
        network=network,
        ports=ports,
        jacks=port_picture.jacks(ports, ring["ports"]),
        partners=partners(ports),
        names=names or assignment(ports, {}),
        groups=groups or await GROUPS.present(visit),
        touched=touched(in_force, ports),
    )


async def _show_groups(visit: Visit, groups: Form, status: int) -> Response:
    return await _show(visit, await SECTION.present(visit), status, groups=groups)


async def _assign(visit: Visit) -> Response:
    wanted = {key.removeprefix("ports."): visit.typed(key) for key in visit.data if key.startswith("ports.")}
    changes = {old: new for old, new in wanted.items() if old != new}
    if not changes:
        return visit.done("Every port keeps its name.")
    try:
        network = await visit.api.put("/network/ports", {"names": changes})
    except ApiError as error:
        if error.status != 422:
            raise
        ports = (await visit.api.get("/network"))["ports"]
        mistake = AllegroError(error.message, place=f"ports.{error.place}", remedy=error.remedy)
        names = with_error(assignment(ports, wanted), mistake)
        return await _show(visit, await SECTION.present(visit), 422, names)
    waits = network["confirm_within_s"] is not None
    confirm = " Confirm that, at the address by which the device is reached now." if waits else ""
    return visit.done(f"The ports have their new names.{confirm}")


async def blink(visit: Visit) -> Response:
    """Lets a light of a port blink. The answer comes when it has."""
    name = visit.typed("port")
    await visit.api.post(f"/network/ports/{segment(name)}/blink")
    text = f"A light of {name} has blinked for five seconds. Not seen? Press again, and look at all ports."
    if visit.is_part:
        return visit.render("parts/message.html", kind="good", text=text)
    return visit.done(text)


PAGE = Page(
    title="Links and groups",
    path=PATH,
    manual="network#links",
    group=("Settings",),
    actions=(
        *SECTION.actions(PATH, _show),
        Action("POST", "/links/ports", _assign, role="admin"),
        Action("POST", "/links/blink", blink, role="admin"),
        Action("POST", "/links/groups", GROUPS.saver(_show_groups), role="admin"),
    ),
)
