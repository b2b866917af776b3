"""Rows of tables are moved, added and removed by buttons; groups on the page Links and groups."""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import parse_qs

import pytest

from allegro.web.arranging import arranged
from allegro.web.pages.links import touched
from tests.unit.api.bench import LINKED_PORTS, MANAGEMENT_PORT
from tests.unit.web.world import World

DATA = {
    "csrf": ["x"],
    "t.before_s": ["60"],
    "t.rows.0.name": ["a"],
    "t.rows.0.on": ["on"],
    "t.rows.1.name": ["b"],
    "t.rows.2.name": ["c"],
    "t.rows.2.on": ["on"],
    "t.rows.3.name": [""],
}
TEMPLATES = {"two": ({"name": "x", "on": "on"}, {"name": "y"})}


def rows(data: Mapping[str, object]) -> list[tuple[str, bool]]:
    numbers = sorted(int(name.split(".")[2]) for name in data if name.endswith(".name"))
    return [(data[f"t.rows.{each}.name"][0], f"t.rows.{each}.on" in data) for each in numbers]  # type: ignore[index]


A, B, C, SPARE = ("a", True), ("b", False), ("c", True), ("", False)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("t.rows.0.down", [B, A, C, SPARE]),
        ("t.rows.2.up", [A, C, B, SPARE]),
        ("t.rows.0.up", [A, B, C, SPARE]),
        ("t.rows.3.down", [A, B, C, SPARE]),
        ("t.rows.1.remove", [A, C, SPARE]),
        ("t.rows.0.two", [A, B, C, ("x", True), ("y", False)]),
        ("t.rows.9.up", [A, B, C, SPARE]),
        ("t.rows.9.remove", [A, B, C, SPARE]),
        ("t.rows.1.sideways", [A, B, C, SPARE]),
        ("nonsense", [A, B, C, SPARE]),
        ("other.1.up", [A, B, C, SPARE]),
    ],
)
def test_rows_go_where_a_button_says_with_all_that_is_in_them(
    wanted: str, expected: list[tuple[str, bool]]
) -> None:
    after = arranged(DATA, wanted, TEMPLATES)
    assert rows(after) == expected
    assert (after["csrf"], after["t.before_s"]) == (["x"], ["60"])


GROUPS = {
    "groups.links.0.name": "Branch",
    "groups.links.0.vlans": "100",
    "groups.links.1.name": "Phones",
    "groups.links.1.interfaces": "port1, port9",
    "groups.links.2.name": "",
}


def names(world: World) -> list[str]:
    return [name for name, _ in world.device.settings.current.groups.texts]


@pytest.mark.spec("L4")
def test_groups_are_moved_then_saved_and_shown_with_the_ports_they_touch(world: World) -> None:
    world.device.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    admin = world.user("admin")
    moved = admin.post("/links/groups", None, **GROUPS, arrange="groups.links.0.down")
    assert moved.status_code == 200
    assert "Nothing is saved yet" in moved.text
    assert moved.text.index('value="Phones"') < moved.text.index('value="Branch"')
    assert names(world) == []
    assert admin.post("/links/groups", None, **GROUPS).status_code == 303
    assert names(world) == ["Branch", "Phones"]
    page = " ".join(admin.page("/links").split())
    assert '<strong>Branch</strong> <span class="quiet">VLAN 100</span></div>' in page
    assert '<div class="capture-state">port1, port2<' in page
    assert "port9 not there" in page
    viewer = world.user("viewer")
    viewer.post("/links/groups", None, **{"groups.links.0.name": "x", "groups.links.0.vlans": "1"})
    assert names(world) == ["Branch", "Phones"]
    assert 'value="groups.links.0.up"' not in viewer.page("/links")


@pytest.mark.spec("L4", "T4")
def test_a_row_of_a_table_without_order_is_removed_by_a_button_and_not_moved(world: World) -> None:
    admin = world.user("admin")
    buttons = re.findall(r'name="arrange" value="trigger\.presenters\.(\w+\.\w+)"', admin.page("/trigger"))
    assert buttons == ["0.remove"], "none to move it, and none at the empty row"
    rows = {
        f"trigger.presenters.{row}.{name}": f"046{row}" for row in (0, 1) for name in ("vendor", "product")
    }
    left = admin.post("/trigger", None, **rows, arrange="trigger.presenters.0.remove")
    assert (left.status_code, "Nothing is saved yet" in left.text) == (200, True)
    assert re.findall('value="(046.)"', left.text) == ["0461", "0461"]
    assert "trigger.presenters.0.remove" not in world.user("viewer").page("/trigger")


@pytest.mark.spec("L4")
def test_a_mistake_in_a_group_and_a_group_in_use_are_told(world: World) -> None:
    admin = world.user("admin")
    wrong = admin.post("/links/groups", None, **(GROUPS | {"groups.links.0.vlans": "4096"}))
    assert wrong.status_code == 422
    assert 'id="field-groups-links-0-vlans-error" role="alert">4096 is not a number' in wrong.text
    admin.post("/links/groups", None, **GROUPS)
    world.device.settings.change({"trigger": {"filter": "group == Phones"}})
    gone = admin.post("/links/groups", None, **{"groups.links.0.name": "Other", "groups.links.0.vlans": "1"})
    assert gone.status_code == 422
    assert "The filter of the USB capture trigger names a link group" in gone.text
    assert names(world) == ["Branch", "Phones"]


def test_a_group_without_ports_touches_all_that_measure() -> None:
    ports = [
        {"name": "mgmt0", "role": "management", "present": True},
        {"name": "port1", "role": "measuring", "present": True},
        {"name": "port2", "role": "measuring", "present": False},
    ]
    group = {"name": "x", "interfaces": "", "vlans": "7", "mpls": "", "vxlan": "5"}
    other = group | {"interfaces": "port2"}
    assert [(each["ports"], each["missing"], each["filter"]) for each in touched([group, other], ports)] == [
        (["port1"], [], "VLAN 7; VXLAN 5"),
        ([], ["port2"], "VLAN 7; VXLAN 5"),
    ]


TABLE = {
    "trigger.rows.0.enabled": "on",
    "trigger.rows.0.key": "any",
    "trigger.rows.0.name": "before",
    "trigger.rows.0.filter": "interface == port1",
    "trigger.rows.1.enabled": "on",
    "trigger.rows.1.key": "any",
    "trigger.rows.1.name": "",
    "trigger.rows.1.filter": "",
}
"""A row, and the empty one behind it as the form sends it."""


def table(world: World) -> list[tuple[str, str, bool]]:
    return [(row.name, row.filter, row.enabled) for row in world.device.settings.current.trigger.rows]


@pytest.mark.spec("T4")
def test_the_filter_table_is_made_from_templates_and_saved(world: World) -> None:
    world.device.settings.change({"trigger": {"before_s": 7}})
    admin = world.user("admin")
    page = admin.post("/trigger/table", None, arrange="trigger.rows.0.addresses")
    assert page.status_code == 200
    assert [f'value="ip == 192.0.2.{number}"' in page.text for number in range(6)] == [
        False,
        *[True] * 4,
        False,
    ]
    for number in range(5):
        assert re.search(rf'value="0"[^>]*name="trigger\.rows\.{number}\.size_limit_mib"', page.text)
    sides = admin.post("/trigger/table", None, arrange="trigger.rows.0.firewall").text
    assert [sides.count(f'value="interface == port{number}"') for number in (1, 2, 3)] == [1, 1, 0]
    assert table(world) == []
    assert admin.post("/trigger/table", None, **TABLE).status_code == 303
    assert table(world) == [("before", "interface == port1", True)]
    assert world.device.settings.current.trigger.before_s == 7
    wrong = admin.post("/trigger/table", None, **(TABLE | {"trigger.rows.0.filter": "port = 80"}))
    assert wrong.status_code == 422
    assert 'id="field-trigger-rows-0-filter-error" role="alert">Column 6' in wrong.text
    assert table(world) == [("before", "interface == port1", True)]
    admin.post("/trigger/table", None, **{"trigger.rows.0.name": "x", "trigger.rows.0.key": "next"})
    assert table(world) == [("x", "", False)]


@pytest.mark.spec("T4")
def test_a_large_filter_table_is_saved_and_shown(world: World) -> None:
    """Each row comes back twice: as it is, and as it was when the form was made."""
    filters = [f"ip =={' ' * 3900}192.0.2.{row}" for row in range(40)]
    rows = [{"name": f"row{row}", "filter": text} for row, text in enumerate(filters)]
    world.device.settings.change({"trigger": {"rows": rows}})
    admin = world.user("admin")
    page = admin.page("/trigger")
    seen = page.partition('form id="table-form"')[2].partition('name="seen" value="')[2]
    data = {"seen": seen.partition('">')[0]}
    for row, text in enumerate(filters):
        cells = {"name": f"r{row}", "filter": text, "key": "any"}
        data |= {f"trigger.rows.{row}.{name}": value for name, value in cells.items()}
    assert sum(map(len, data.values())) > 256 * 1024
    assert admin.post("/trigger/table", None, **data).status_code == 303
    assert table(world) == [(f"r{row}", text, False) for row, text in enumerate(filters)]


@pytest.mark.spec("T4")
def test_enter_in_the_filter_table_saves_it(world: World) -> None:
    """HTML, "Implicit submission": the first submit button of a form, in tree order, is pressed."""
    page = world.user("admin").page("/trigger")
    above, _, form = page.partition('<form id="table-form"')
    assert 'form="table-form"' not in above
    first = form[form.index("<button") :].partition("</button>")[0]
    assert first.endswith(">Apply the table")
    assert "name=" not in first
    assert 'form="table-form"' in form.partition("</form>")[2], "examples are offered"


@pytest.mark.spec("T4", "T8")
def test_press_now_makes_the_rows_and_a_typed_filter_one_file(world: World) -> None:
    world.device.settings.change({"trigger": {"filter": "vlan == 7", "rows": [{"name": "a"}, {"name": "b"}]}})
    user = world.user("capture")
    page = user.page("/")
    assert 'form="press-form" value=""' in page
    assert "a file for each row of the filter table" in page
    user.post("/press", filter="")
    world.clock.now += 10
    user.post("/press", filter="port == 80")
    one, several = world.device.jobs.recent(9)
    assert (one.filter, world.device.jobs.rows.of(one.id)) == ("port == 80", [])
    rows = world.device.jobs.rows.of(several.id)
    assert [row.name for row in rows] == ["a", "b"]
    world.device.jobs.rows.change(rows[1], state="failed", message="The disk is full.")
    page = user.page("/")
    assert "<strong>a</strong>" in page
    assert "The disk is full." in page


@pytest.mark.spec("T7")
def test_a_row_is_tried_on_the_packets_of_the_last_minute_as_it_is_typed(world: World) -> None:
    admin = world.user("admin")
    world.device.settings.change({"trigger": {"rows": [{"name": "web", "filter": "port == 80"}]}})
    assert admin.page("/trigger").count('formaction="/trigger/try"') == 2
    assert 'formaction="/trigger/try"' not in world.user("capture").page("/trigger")
    asked = {"row": "1", "trigger.rows.0.filter": "port == 80", "trigger.rows.1.filter": "vlan == 7"}
    there = admin.post("/trigger/try", None, **asked).headers["location"]
    query = parse_qs(there.partition("?")[2])
    assert query["filter"] == ["vlan == 7"]
    start, end = (datetime.fromisoformat(query[name][0]) for name in ("start", "end"))
    assert (end - start).total_seconds() == 60
    assert admin.post("/trigger/try", None, row="nonsense").status_code == 303
