import json
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import InvalidInput
from allegro.settings.masks import MASK, masked
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore, validated
from allegro.settings.wifi import Wifi
from allegro.web.forms import Field, form, patch

pytestmark = pytest.mark.spec("N2")


def test_defaults_of_the_specification() -> None:
    wifi = Settings().wifi
    assert wifi.mode == "access-point"
    assert wifi.access_point.password == "Allegro-MM"


GOOD: list[dict[str, Any]] = [
    {"access_point": {"ssid": "ü" * 16, "password": "x" * 63}},
    {"access_point": {"password": "0123456789abcdefABCDEF" + "0" * 42}},
    {"access_point": {"password": 'a "quoted" # word'}},
    {"access_point": {"channel": 13}},
    {"access_point": {"band": "5", "channel": 36}, "country": "DE"},
    {"access_point": {"address": "10.0.0.1/29"}},
    {"access_point": {"address": "10.0.0.1/24", "lease_first": "10.0.0.5", "lease_last": "10.0.0.5"}},
    {"mode": "client", "client": {"ssid": "Gäste"}},
    {"mode": "client", "client": {"ssid": "Office", "password": "12345678"}},
    {"country": "us"},
    {"mode": "off"},
]


@pytest.mark.parametrize("values", GOOD, ids=str)
def test_good_settings_are_taken(values: dict[str, Any]) -> None:
    assert validated({"wifi": values}).wifi.country == values.get("country", "").upper()


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"access_point": {"ssid": "ü" * 17}}, "access_point.ssid", "34 bytes long"),
    ({"access_point": {"ssid": "two\nlines"}}, "access_point.ssid", "cannot be printed"),
    ({"client": {"ssid": "x" * 33}}, "client.ssid", "33 bytes long"),
    ({"access_point": {"password": ""}}, "access_point.password", "8 to 63"),
    ({"access_point": {"password": "1234567"}}, "access_point.password", "8 to 63"),
    ({"access_point": {"password": "x" * 64}}, "access_point.password", "64 hex digits"),
    ({"access_point": {"password": "Schlüssel"}}, "access_point.password", "without accents"),
    ({"access_point": {"password": "line\nbreak"}}, "access_point.password", "8 to 63"),
    ({"client": {"password": "short"}}, "client.password", "8 to 63"),
    ({"access_point": {"channel": 14}}, "access_point.channel", "no channel of the band 2.4 GHz"),
    ({"access_point": {"channel": 36}}, "access_point.channel", "no channel of the band 2.4 GHz"),
    (
        {"access_point": {"band": "5", "channel": 52}, "country": "DE"},
        "access_point.channel",
        "36, 40, 44, 48, 149",
    ),
    ({"access_point": {"band": "5"}}, "country", "5 GHz needs the country"),
    ({"access_point": {"band": "6"}}, "access_point.band", "2.4"),
    ({"country": "XX"}, "country", "not the code of a country"),
    ({"country": "Germany"}, "country", "not the code of a country"),
    ({"mode": "client"}, "client.ssid", "name of the network to join is missing"),
    ({"mode": "router"}, "mode", "access-point"),
    ({"access_point": {"address": "10.0.0.0/24"}}, "access_point.address", "network or broadcast"),
    ({"access_point": {"address": "10.0.0.1"}}, "access_point.address", "prefix length"),
    ({"access_point": {"address": "10.0.0.1/30"}}, "access_point.address", "/29 is the smallest"),
    ({"access_point": {"address": "ten"}}, "access_point.address", "not an IPv4 address"),
    ({"access_point": {"lease_first": "10.0.0.5"}}, "access_point.lease_last", "belong together"),
    (
        {"access_point": {"lease_first": "10.0.0.5", "lease_last": "10.0.0.6"}},
        "access_point.address",
        "has to be set as well",
    ),
    (
        {"access_point": {"address": "10.0.0.1/24", "lease_first": "10.0.1.5", "lease_last": "10.0.1.9"}},
        "access_point.lease_first",
        "not in the subnet 10.0.0.0/24",
    ),
    (
        {"access_point": {"address": "10.0.0.1/24", "lease_first": "10.0.0.9", "lease_last": "10.0.0.255"}},
        "access_point.lease_last",
        "broadcast",
    ),
    (
        {"access_point": {"address": "10.0.0.1/24", "lease_first": "10.0.0.9", "lease_last": "10.0.0.8"}},
        "access_point.lease_last",
        "below the first one",
    ),
    (
        {"access_point": {"address": "10.0.0.1/24", "lease_first": "10.0.0.1", "lease_last": "10.0.0.1"}},
        "access_point.lease_first",
        "the one of this device",
    ),
    ({"access_point": {"hidden": True}}, "access_point.hidden", "no such setting"),
]


@pytest.mark.parametrize(("values", "place", "says"), BAD, ids=str)
def test_a_mistake_is_told_at_its_place(values: dict[str, Any], place: str, says: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        validated({"wifi": values})
    assert refused.value.place == f"wifi.{place}"
    assert says in refused.value.message
    assert "password" not in place or "got" not in refused.value.message


def test_the_subnet_of_management_is_refused() -> None:
    management = {"mode": "static", "address": "10.0.0.7/16"}

    def changed(**wifi: Any) -> Settings:
        return validated({"management": management, "wifi": wifi})

    with pytest.raises(InvalidInput) as refused:
        changed(access_point={"address": "10.0.3.1/24"})
    assert refused.value.place == "wifi.access_point.address"
    assert "10.0.3.0/24 overlaps with 10.0.0.0/16 of management.address" in refused.value.message
    assert changed(mode="off", access_point={"address": "10.0.3.1/24"})
    assert changed(access_point={"address": "10.1.0.1/24"})
    assert validated({"management": {**management, "address": "192.168.78.9/24"}})


def test_passwords_are_not_shown() -> None:
    settings = validated({"wifi": {"client": {"ssid": "Office", "password": "12345678"}}})
    shown = masked(settings)["wifi"]
    assert (shown["access_point"]["password"], shown["client"]["password"]) == (MASK, MASK)
    assert masked(Settings())["wifi"]["client"]["password"] == ""


def test_a_newer_version_that_knows_more_keeps_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    raw = Settings().model_dump(mode="json")
    raw["schema_version"] = 99
    raw["wifi"] |= {"roaming": True, "country": "DE"}
    raw["wifi"]["access_point"] |= {"hidden": True, "password": "not the usual one"}
    file.write_text(json.dumps(raw))
    kept = SettingsStore(file).current.wifi
    assert (kept.country, kept.access_point.password) == ("DE", "not the usual one")


def test_the_form_has_a_list_of_countries_and_two_groups() -> None:
    made = form(Wifi, "wifi", masked(Settings())["wifi"])
    by_name: dict[str, Field] = {each.name: each for each in made.fields}
    assert by_name["wifi.country"].kind == "select"
    assert ("DE", "Germany") in by_name["wifi.country"].choices
    assert by_name["wifi.country"].choices[0][0] == ""
    assert [each.kind for each in by_name["wifi.client"].fields] == ["text", "secret"]
    typed = patch(Wifi, "wifi", {"wifi.mode": ["client"], "wifi.client.ssid": ["Office"]})
    assert typed["client"] == {"ssid": "Office"}
