"""One value that is not accepted costs that value alone, in whichever order a file stands."""

import copy
import itertools
import random
from typing import Any

import pytest

from allegro.settings.lenient import understood
from allegro.settings.masks import MASK
from allegro.settings.model import Settings
from allegro.settings.patches import merged

R400 = {"vendor": "046d", "product": "c52d", "name": "R400"}
EXPORT = {"enabled": True, "host": "sftp.example", "username": "probe"}


def places(raw: dict[str, Any]) -> list[str]:
    return [each.place for each in understood(raw).refused]


@pytest.mark.spec("U7")
def test_what_is_accepted_is_all_in_force() -> None:
    raw = {"export": EXPORT, "trigger": {"presenters": [R400]}, "time": {"servers": ["192.0.2.1"]}}
    found = understood(raw)
    assert found.refused == ()
    assert found.settings == Settings.model_validate(raw)
    assert understood({}).settings == Settings()


@pytest.mark.spec("U7")
@pytest.mark.parametrize(
    ("raw", "refused", "kept"),
    [
        ({"export": {**EXPORT, "authentication": "agent"}}, ["export.authentication"], {"export": EXPORT}),
        ({"trigger": {"before_s": "soon", "after_s": 5}}, ["trigger.before_s"], {"trigger": {"after_s": 5}}),
        ({"trigger": 5, "time": {"zone": "Asia/Tokyo"}}, ["trigger"], {"time": {"zone": "Asia/Tokyo"}}),
        ({"wifi": {"country": "XX", "mode": "off"}}, ["wifi.country"], {"wifi": {"mode": "off"}}),
        # A value that only misses another one: what makes it needed falls.
        ({"export": {"enabled": True, "port": 2222}}, ["export.enabled"], {"export": {"port": 2222}}),
        ({"wifi": {"mode": "client", "country": "DE"}}, ["wifi.mode"], {"wifi": {"country": "DE"}}),
        ({"management": {"mode": "static", "dns": ["192.0.2.1"]}}, ["management.mode"],
         {"management": {"dns": ["192.0.2.1"]}}),
        # Two values that do not go together: the one that is named falls.
        ({"management": {"mode": "static", "address": "10.1.2.3/24", "gateway": "10.9.9.9"}},
         ["management.gateway"], {"management": {"mode": "static", "address": "10.1.2.3/24"}}),
        ({"wifi": {"access_point": {"channel": 36}}}, ["wifi.access_point.channel"], {}),
        ({"management": {"mode": "static", "address": "10.1.2.3/24"},
          "wifi": {"access_point": {"address": "10.1.2.4/24"}}},
         ["wifi.access_point.address"], {"management": {"mode": "static", "address": "10.1.2.3/24"}}),
        # Rows stand or fall alone, and as a whole.
        ({"trigger": {"presenters": [{**R400, "vendor": "x"}, R400, {"name": "half"}], "after_s": 5}},
         ["trigger.presenters.1.vendor", "trigger.presenters.3.vendor"],
         {"trigger": {"presenters": [R400], "after_s": 5}}),
        ({"links": {"pairs": [{"pair": 1, "mode": "sink"}, {"pair": 1, "mode": "bridge"}]}},
         ["links.pairs.2.pair"], {"links": {"pairs": [{"pair": 1, "mode": "sink"}]}}),
        ({"time": {"servers": ["192.0.2.1", "not a host", "192.0.2.2"]}}, ["time.servers.2"],
         {"time": {"servers": ["192.0.2.1", "192.0.2.2"]}}),
        ({"trigger": None, "export": [], "links": "x", "time": {"zone": {}}},
         ["trigger", "export", "links", "time.zone"], {}),
    ],
)  # fmt: skip
def test_a_value_falls_alone(raw: dict[str, Any], refused: list[str], kept: dict[str, Any]) -> None:
    found = understood(raw)
    assert [each.place for each in found.refused] == refused
    assert found.settings == Settings.model_validate(kept)


@pytest.mark.spec("U7")
def test_a_presenter_that_0_1_0_had_twice_is_one() -> None:
    spare = {"vendor": "1234", "product": "abcd", "name": "spare"}
    twin, first, odd = (
        {**R400, "vendor": "046D", "name": "twin"},
        {**R400, "colour": "black"},
        {**R400, "name": ""},
    )
    found = understood({"trigger": {"presenters": [odd, first, spare, twin, 5, 5]}})
    assert [each.name for each in found.settings.trigger.presenters] == ["R400", "spare"]
    assert [each.place for each in found.refused][:1] == ["trigger.presenters.1.name"]
    assert found.raw["trigger"]["presenters"] == [odd, first, spare, 5, 5]

    found = understood({"trigger": {"presenters": [R400, twin]}})
    assert found.refused == ()
    saved = found.to_save(found.settings, {"trigger": {"presenters": [R400]}})
    assert saved["trigger"]["presenters"] == [R400]


@pytest.mark.spec("U7")
def test_the_order_of_fields_does_not_matter() -> None:
    export = {**EXPORT, "authentication": "agent", "time": "25:61"}
    for order in itertools.permutations(export.items()):
        found = understood({"export": dict(order)})
        assert found.settings.export.enabled
        assert [each.place for each in found.refused] == ["export.authentication", "export.time"]


@pytest.mark.spec("U7", "S2")
def test_random_files_never_raise_and_what_is_saved_says_the_same() -> None:
    chance = random.Random(7)
    whole = Settings().model_dump(mode="json", exclude={"schema_version"})
    values: list[Any] = [
        None,
        -1,
        10**400,
        "x",
        "\ud800",
        "",
        [],
        {},
        [{}],
        {"a": {}},
        True,
        float("nan"),
        "10.1.2.3/24",
    ]

    def spoilt(value: Any) -> Any:
        if chance.random() < 0.15:
            return copy.deepcopy(chance.choice(values))  # JSON has no two places that are one
        if isinstance(value, dict):
            more = {"of another version": 1} if chance.random() < 0.1 else {}
            return {name: spoilt(each) for name, each in value.items()} | more
        return [spoilt(each) for each in value] if isinstance(value, list) else value

    for _ in range(20):
        found = understood({name: spoilt(value) for name, value in whole.items()})
        saved = found.to_save(found.settings, {})
        again = understood(saved)
        assert again.settings == found.settings
        assert [each.place for each in again.refused] == [each.place for each in found.refused]


@pytest.mark.spec("U7")
def test_what_is_not_in_force_stays_until_that_value_is_changed() -> None:
    raw = {"trigger": {"before_s": "soon", "after_s": 5, "smell": {"of": "coffee"}}, "hologram": [1]}
    found = understood(raw)

    def saved(patch: dict[str, Any]) -> dict[str, Any]:
        new = Settings.model_validate(merged(found.settings.model_dump(mode="json"), patch))
        return found.to_save(new, patch)

    other = saved({"trigger": {"after_s": 6}})
    assert other["trigger"] | {"presenters": []} == {
        **Settings().trigger.model_dump(mode="json"),
        "before_s": "soon",
        "after_s": 6,
        "smell": {"of": "coffee"},
        "presenters": [],
    }
    assert other["hologram"] == [1]
    assert saved({"trigger": {"before_s": 60}})["trigger"]["before_s"] == 60


@pytest.mark.spec("U7")
def test_rows_keep_what_is_not_known_of_them_through_changes() -> None:
    def row(name: str, **more: str) -> dict[str, str]:
        return {"vendor": "046d", "product": name * 4, "name": name, **more}

    odd = {"vendor": "046d", "bluetooth": "yes"}
    found = understood({"trigger": {"presenters": [row("a", colour="red"), odd, row("b", colour="blue")]}})

    def saved(rows: list[dict[str, str]]) -> Any:
        patch = {"trigger": {"presenters": rows}}
        new = Settings.model_validate(merged(found.settings.model_dump(mode="json"), patch))
        return found.to_save(new, patch)["trigger"]["presenters"]

    assert saved([row("a"), row("b")]) == [row("a", colour="red"), row("b", colour="blue"), odd]
    assert saved([row("b"), row("a")]) == [row("b", colour="blue"), row("a", colour="red"), odd]
    assert saved([row("b")]) == [row("b", colour="blue"), odd]
    assert saved([row("a"), row("c")]) == [row("a", colour="red"), row("c", colour="blue"), odd]
    assert saved([row("c"), row("a"), row("b"), row("d")])[1:4] == [
        row("a", colour="red"), row("b", colour="blue"), row("d")
    ]  # fmt: skip


@pytest.mark.spec("U7", "S2")
def test_a_secret_is_never_shown_and_never_gives_way_to_its_default() -> None:
    raw = {"wifi": {"mode": "access-point", "access_point": {"ssid": "ours", "password": "kurz"}}}
    found = understood(raw)
    (refused,) = found.refused
    assert (refused.place, refused.value) == ("wifi.access_point.password", MASK)
    assert "kurz" not in str(refused)
    assert found.settings.wifi.mode == "off"
    assert found.settings.wifi.access_point.ssid == "ours"
    saved = found.to_save(found.settings, {})
    assert saved["wifi"]["mode"] == "access-point", "it comes back with a version that understands it"
    assert saved["wifi"]["access_point"]["password"] == "kurz"
    wrong: list[Any] = [5, {"access_point": []}]
    for senseless in wrong:
        assert understood({"wifi": senseless}).settings.wifi.mode == "off"


@pytest.mark.spec("U7", "X2")
def test_nothing_is_sent_by_a_protocol_that_nobody_has_chosen() -> None:
    export = {"enabled": True, "protocol": "ftp", "host": "files.example", "username": "u", "password": "p"}
    found = understood({"export": export})
    assert [refused.place for refused in found.refused] == ["export.protocol"]
    assert found.settings.export.enabled is False
    assert found.to_save(found.settings, {})["export"].items() >= export.items()
