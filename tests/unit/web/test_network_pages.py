"""Ports, temporary address, BMC and clock on the page."""

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from allegro.errors import InvalidInput, Unavailable
from allegro.system.bmc import Said
from allegro.web.backend import Asker, Backend
from allegro.web.local_time import utc_of
from allegro.web.pages import management
from allegro.web.pages.links import assignment, partners, question
from allegro.web.pages.time import local
from tests.unit.api.bench import LINKED_PORTS, MANAGEMENT_PORT
from tests.unit.web.playing_bmc import PlayingBmc
from tests.unit.web.world import World

ONE_BRIDGE, TWO_SINK = {"pair": 1, "mode": "bridge"}, {"pair": 2, "mode": "sink"}


@pytest.mark.spec("L2")
def test_ports_are_shown_and_get_other_names(world: World) -> None:
    world.device.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    admin = world.user("admin")
    page = re.sub(r"<[^>]+>|\s+", " ", admin.page("/links"))
    assert re.search(r"port1 +measuring, linked with port2 +built in, igb, 02:00:00:00:34:01", page), page
    assert re.search(r"mgmt0 +management +port1 +has seen traffic +port2 +no cable", page), "as drawn"
    names = {"ports.mgmt0": "mgmt0", "ports.port1": "port2", "ports.port2": "port1"}
    assert admin.post("/links/ports", None, **names).status_code == 303
    assert world.device.asked == [{"port1": "port2", "port2": "port1"}]
    assert "The ports have their new names." in admin.page("/links")
    admin.post("/links/ports", None, **{"ports.port1": "port1"})
    assert "Every port keeps its name." in admin.page("/links")
    assert len(world.device.asked) == 1


@pytest.mark.spec("L2")
def test_a_wrong_assignment_is_shown_at_its_port(world: World) -> None:
    world.device.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    admin, viewer = world.user("admin"), world.user("viewer")
    answer = admin.post("/links/ports", None, **{"ports.port1": "port2", "ports.port2": "port2"})
    assert answer.status_code == 422
    assert re.search(r'id="field-ports-port1-error" role="alert">Two ports would be port2', answer.text)
    viewer.post("/links/ports", None, **{"ports.port1": "port3"})
    assert world.device.asked == []


@pytest.mark.spec("L2", "N5")
def test_a_changed_management_port_has_to_be_confirmed(world: World) -> None:
    world.device.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    world.device.remaining_s = 99.0
    admin = world.user("admin")
    admin.post("/links/ports", None, **{"ports.mgmt0": "port1", "ports.port1": "mgmt0"})
    page = admin.page("/links")
    assert "Confirm that, at the address" in page
    assert "/management/confirm" in page


def test_names_to_choose_from() -> None:
    ports = [
        {"name": name, "present": name != "port7", "driver": "", "key": "k"} for name in ("mgmt0", "port7")
    ]
    (field,) = assignment(ports, {"mgmt0": "port1"}).fields
    assert [name for name, _ in field.choices] == ["mgmt0", "mgmt1", "port1", "port2", "port7"]
    assert field.value == "port1"


def test_who_forms_a_link_with_whom() -> None:
    links = {"port1": "br1", "port2": "br1", "port3": "", "mgmt0": ""}
    assert partners([{"name": name, "link": link} for name, link in links.items()]) == {
        "port1": "port2",
        "port2": "port1",
    }


@pytest.mark.spec("N3")
def test_a_temporary_address_is_taken_and_given_back(world: World) -> None:
    world.device.claim = None

    def shown() -> Any:
        return world.device.get("/network")["temporary_address"]

    admin, viewer = world.user("admin"), world.user("viewer")
    assert "There is none now." in viewer.page("/management")
    viewer.post("/management/temporary-address")
    assert shown() is None
    script = {"HX-Request": "true"}
    answer = admin.post("/management/temporary-address", script, dhcp_server="on")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/management")
    assert shown() == {"address": "192.168.77.2/24", "dhcp_server": True, "probed": True}
    page = admin.page("/management")
    assert "has the address 192.168.77.2/24 until power-off." in page
    assert "with DHCP server" in page
    assert "Give it back" not in viewer.page("/management")
    admin.post("/management/temporary-address/release")
    assert shown() is None
    admin.post("/management/temporary-address")
    assert shown()["dhcp_server"] is False


@pytest.mark.spec("N6")
def test_the_bmc_is_shown_only_if_there_is_one_and_is_set(world: World) -> None:
    admin = world.user("admin")
    assert "BMC" not in admin.page("/management")
    bmc = PlayingBmc()
    world.device.add_bmc(bmc)
    assert "02:00:00:00:bb:01" in admin.page("/management")
    typed = {"bmc.source": "static", "bmc.address": "192.0.2.30/24", "bmc.gateway": "10.0.0.1"}
    answer = admin.post("/management/bmc", None, **typed)
    assert answer.status_code == 422
    assert re.search(
        r'id="field-bmc-gateway-error" role="alert">10.0.0.1 is not another address', answer.text
    )
    assert 'value="192.0.2.30/24"' in answer.text
    assert bmc.address == "0.0.0.0"
    admin.post("/management/bmc", None, **typed | {"bmc.gateway": "192.0.2.1"})
    assert "The BMC has its new address." in admin.page("/management")
    assert (bmc.source, bmc.address, bmc.gateway) == ("Static", "192.0.2.30", "192.0.2.1")
    admin.post("/management/bmc", None, **typed | {"bmc.source": "dhcp"})
    assert bmc.source == "DHCP"
    assert "The BMC gets its address from a DHCP server." in admin.page("/management")


@pytest.mark.spec("N6")
def test_a_bmc_that_does_not_answer_does_not_take_the_page_with_it(world: World) -> None:
    def silent(_: Sequence[str]) -> Said:
        raise Unavailable("The BMC cannot be asked (timeout).")

    world.device.add_bmc(silent)
    page = world.user("admin").page("/management")
    assert "The BMC cannot be asked (timeout)." in page
    assert "Address of the device" in page


@pytest.mark.spec("N7")
def test_the_clock_is_shown_in_its_own_time_zone(world: World) -> None:
    page = world.user("viewer").page("/time")
    assert "ntp.example" in page
    assert '<option value="Europe/Berlin">' in page
    assert local({"time": "2026-11-21T23:30:05.123456789Z", "utc_offset": "+05:30"}) == "2026-11-22 05:00:05"
    assert local({"time": "2026-11-21T02:30:05Z", "utc_offset": "-03:30"}) == "2026-11-20 23:00:05"


@pytest.mark.spec("N7")
def test_a_time_that_is_typed_counts_in_the_zone_of_the_device() -> None:
    assert utc_of("2026-11-29T23:30:05", "Europe/Berlin", "local") == "2026-11-29T23:30:05+01:00"
    assert utc_of("2026-07-01T12:00", "Europe/Berlin", "local") == "2026-07-01T12:00:00+02:00"
    for typed in ("", "tomorrow"):
        with pytest.raises(InvalidInput, match="is no date with a time"):
            utc_of(typed, "UTC", "local")


@pytest.mark.spec("N7")
def test_the_clock_is_set_by_an_administrator(world: World) -> None:
    admin = world.user("admin")
    assert "Set by hand" not in admin.page("/time"), "a time server keeps it"
    world.device.clock_is_kept = False
    page = admin.page("/time")
    assert "Take the time of this browser" in page
    assert re.search(
        r'type="datetime-local" step="1" id="by-hand" name="local" value="\d{4}-\d\d-\d\dT[\d:]{8}"', page
    )
    assert "Set by hand" not in world.user("viewer").page("/time")
    admin.post("/time/set", None, utc="2026-11-29T23:30:05.123Z")
    admin.post("/time/set", None, utc="", local="2026-11-29T23:30:05")
    seconds = 1_795_995_005
    assert world.device.clock_set == [seconds * 10**9 + 123_000_000, seconds * 10**9]


@pytest.mark.spec("N5")
def test_a_change_that_waits_can_be_confirmed_from_every_page(world: World) -> None:
    browser = world.user("admin")
    pages = [page.path for page in world.site.pages if page.path != "/manual"]
    assert all("/management/confirm" not in browser.page(path) for path in pages)
    world.device.remaining_s = 90.0
    for path in pages:
        shown = browser.page(path)
        assert shown.count('action="/management/confirm"') == 1, path
        assert "taken back in 90 seconds" in shown, path
    assert 'action="/management/confirm"' not in world.user("viewer").page("/")


@pytest.mark.spec("L1", "W6")
@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        (
            {},
            {"mode": "sink"},
            "port1 and port2, port3 and port4, port5 and port6, port7 and port8, and",
        ),
        ({}, {"pairs": [TWO_SINK]}, "between port3 and port4?"),
        ({"mode": "sink", "pairs": [ONE_BRIDGE]}, {"pairs": []}, "between port1 and port2?"),
        ({}, {"pairs": [ONE_BRIDGE]}, ""),
        ({"mode": "sink"}, {"mode": "bridge"}, ""),
        ({}, {"mode": "sink", "pairs": [{"pair": "x", "mode": "sink"}]}, ""),
    ],
)
def test_what_is_asked_before_a_line_is_cut(
    before: dict[str, Any], after: dict[str, Any], asked: str
) -> None:
    seen = {"mode": "bridge", "pairs": [], **before}
    said = question(seen, {**seen, **after}, {f"port{number}" for number in range(1, 129)})
    assert asked in said
    assert bool(said) is bool(asked)


def test_only_ports_that_are_there_are_named_in_the_question() -> None:
    both = {"mode": "bridge", "pairs": []}, {"mode": "sink", "pairs": []}
    assert "between port1 and port2?" in question(*both, {"port1", "port2", "port3"})
    assert question(*both, {"mgmt0"}) == ""


@pytest.mark.spec("L1")
def test_a_pair_that_the_device_does_not_have_is_refused_at_its_field(world: World) -> None:
    world.device.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    browser = world.user("admin")
    row = {"links.pairs.0.pair": "7", "links.pairs.0.mode": "bridge"}
    answer = browser.post("/links", None, **row)
    assert answer.status_code == 422
    said = re.findall(r'id="field-links-pairs-0-pair-error" role="alert">([^<]*)', answer.text)
    assert said == ["There is no pair 7: the measuring ports of this device are port1, port2."]
    (field,) = re.findall(r'<input[^>]* name="links.pairs.0.pair"[^>]*>', answer.text)
    assert 'value="7"' in field
    assert world.device.settings.current.links.pairs == ()


@pytest.mark.spec("L1", "W6")
def test_a_line_is_cut_only_by_who_is_sure(world: World) -> None:
    world.device.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    browser = world.user("admin")
    asked = browser.post("/links", None, **{"links.mode": "sink"})
    assert "Cut the line between port1 and port2" in asked.text
    assert 'name="sure" value="yes"' in asked.text
    assert world.device.get("/settings/links")["mode"] == "bridge"
    browser.post("/links", None, **{"links.mode": "sink", "sure": "yes"})
    assert world.device.get("/settings/links")["mode"] == "sink"


@pytest.mark.spec("N5", "W6")
def test_a_changed_address_is_answered_with_the_new_one(world: World) -> None:
    browser = world.user("admin")
    world.device.remaining_s = 118.0
    typed = {"management.mode": "static", "management.address": "192.0.2.5/24"}
    answer = browser.post("/management", None, **typed, **{"management.host_name": "meter"})
    assert answer.status_code == 200
    assert re.findall('<li><a href="(.*?)"', answer.text)[-2:] == [
        "https://192.0.2.5/",
        "https://meter.local/",
    ]
    assert "taken back in 118 seconds unless" in answer.text
    assert world.device.settings.current.management.address == "192.0.2.5/24"
    wrong = browser.post("/management", None, **typed | {"management.address": "192.0.2.300/24"})
    assert wrong.status_code == 422
    seen = {"seen": json.dumps(world.device.get("/settings/management"))}
    harmless = browser.post("/management", None, **typed, **seen, **{"management.confirm_s": "60"})
    assert harmless.status_code == 303, "no address changes"


@pytest.mark.spec("N6")
def test_a_bmc_that_hangs_does_not_take_the_page_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = world.user("admin")
    monkeypatch.setattr(management, "BMC_S", 0.05)
    real = Backend.ask

    async def hangs(self: Backend, asker: Asker, method: str, path: str, body: Any = None) -> Any:
        if path == "/bmc":
            await asyncio.sleep(60)
        return await real(self, asker, method, path, body)

    monkeypatch.setattr(Backend, "ask", hangs)
    assert "The BMC has not answered" in browser.page("/management")

    async def breaks(self: Backend, asker: Asker, method: str, path: str, body: Any = None) -> Any:
        if path == "/bmc":
            raise Unavailable("The device did not answer in time.")
        return await real(self, asker, method, path, body)

    monkeypatch.setattr(Backend, "ask", breaks)
    assert "did not answer in time" in browser.page("/management")
