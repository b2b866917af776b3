import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import InvalidInput
from allegro.settings.configuration_file import configuration, exported, fitting, secrets_of, taken_over
from allegro.settings.differences import differences
from allegro.settings.masks import MASK
from allegro.settings.model import Settings
from allegro.settings.patches import merged
from allegro.settings.settings_file import SettingsStore, validated
from allegro.supervisor.changes import SettingsChanger
from allegro.supervisor.first_passwords import check_wifi_password
from allegro.supervisor.recorder_process import check_ring_size

pytestmark = pytest.mark.spec("W9")
FACTS = {"device": "allegro-mm-1a2b", "firmware": "0.2.0", "time": "2026-11-30T10:00:00Z"}
PASSWORD = "of the file alone"


def with_(patch: dict[str, Any], settings: Settings | None = None) -> Settings:
    return validated(merged((settings or Settings()).model_dump(mode="json"), patch))


SET = with_(
    {
        "trigger": {"before_s": 90, "rows": [{"name": "a", "filter": "vlan == 7"}]},
        "export": {"host": "files.example", "username": "me", "password": "geheim"},
        "wifi": {"access_point": {"password": "another one"}},
    }
)


@functools.cache
def sealed_file() -> dict[str, Any]:
    """Made once: sealing is slow on purpose."""
    return exported(SET, PASSWORD, **FACTS)


def test_without_a_password_no_secret_is_in_the_file_and_none_is_changed_by_it() -> None:
    file = exported(SET, "", **FACTS)
    text = json.dumps(file)
    assert "geheim" not in text
    assert "another one" not in text
    assert MASK not in text
    read = configuration(json.loads(text))
    assert (read.device, read.firmware, read.time) == tuple(FACTS.values())
    here = with_({"export": {"password": "mine"}})
    taken = taken_over(read.settings, here)
    assert taken.left_out == ()
    new = with_(taken.patch, here)
    assert (new.trigger, new.export.host, new.export.password) == (SET.trigger, "files.example", "mine")


def test_with_its_password_the_file_makes_the_same_of_another_device() -> None:
    file = json.loads(json.dumps(sealed_file()))
    assert "geheim" not in json.dumps(file)
    read = configuration(file)
    taken = taken_over(merged(read.settings, secrets_of(read, PASSWORD)), Settings())
    assert with_(taken.patch) == SET
    assert secrets_of(read, "") == {}
    with pytest.raises(InvalidInput, match="another password, or the file was changed"):
        secrets_of(read, "of another file")


def test_secrets_do_not_follow_other_settings() -> None:
    """Else who can change the file would have them sent to a server of his own."""
    file = copy.deepcopy(sealed_file())
    file["settings"]["export"]["host"] = "elsewhere.example"
    with pytest.raises(InvalidInput, match="the file was changed"):
        secrets_of(configuration(file), PASSWORD)


@pytest.mark.parametrize(
    "damage", [{"n": 1 << 30}, {"salt": "!"}, {"nonce": ""}, {"sealed": 7}, {"kdf": "md5"}]
)
def test_a_damaged_box_is_refused_and_no_memory_is_spent_on_it(damage: dict[str, Any]) -> None:
    file = copy.deepcopy(sealed_file())
    file["secrets"] |= damage
    with pytest.raises(InvalidInput, match=r"sealed in a way|are damaged"):
        secrets_of(configuration(file), PASSWORD)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({}, "no configuration"),
        ({"allegro_configuration": "1", "settings": {}}, "no configuration"),
        ({"allegro_configuration": 1, "settings": []}, "no configuration"),
        ({"allegro_configuration": 2, "settings": {}}, "newer version"),
        ({"allegro_configuration": 1, "settings": {}, "secrets": "x"}, "newer version"),
    ],
)
def test_what_is_no_configuration_is_refused(raw: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        configuration(raw)


def test_what_this_version_does_not_know_or_accept_is_left_out_and_named() -> None:
    settings = copy.deepcopy(exported(SET, "", **FACTS)["settings"])
    settings["trigger"]["sound"] = "loud"
    settings["time"]["zone"] = "Mars/Olympus"
    settings["future"] = {"a": 1}
    settings["trigger"]["presenters"].append({"vendor": "zzzz", "product": "1", "name": "n"})
    taken = taken_over(settings, Settings())
    places = sorted(each.partition(":")[0] for each in taken.left_out)
    assert places == ["future", "time.zone", "trigger.presenters.2.vendor", "trigger.sound"]
    new = with_(taken.patch)
    assert new.trigger == SET.trigger
    assert new.time == Settings().time


def test_what_this_device_cannot_do_is_left_out_and_named(tmp_path: Path) -> None:
    """A ring larger than its disk, and the first password of a WiFi that has had another one."""
    store = SettingsStore(tmp_path / "settings.json")
    store.change({"wifi": {"access_point": {"password": "another one"}}})
    ring = tmp_path / "ring"
    ring.mkdir()
    change = SettingsChanger(
        store, (), (lambda old, new: check_ring_size(old, new, ring), check_wifi_password)
    )
    whole = {
        "recording": {"ring_size_mib": 1 << 26},
        "wifi": {"country": "DE", "access_point": {"password": Settings().wifi.access_point.password}},
        "trigger": {"before_s": 90},
    }
    taken = fitting(taken_over(whole, store.current), change.tried)
    assert [each.partition(": ")[0] for each in taken.left_out] == [
        "recording.ring_size_mib",
        "wifi.access_point.password",
    ]
    assert "cannot be larger than its storage device" in taken.left_out[0]
    assert taken.patch == {
        "recording": {},
        "wifi": {"country": "DE", "access_point": {}},
        "trigger": {"before_s": 90},
    }


def test_what_is_refused_as_a_whole_stays_refused() -> None:
    def refuse(_patch: object) -> None:
        raise InvalidInput("No.", place="trigger")

    with pytest.raises(InvalidInput, match="No"):
        fitting(taken_over({"trigger": {"before_s": 90}}, Settings()), refuse)


@pytest.mark.parametrize("said", [None, 7, "yesterday", "9999-12-31T23:59:59-14:00", {"a": 1}])
def test_what_a_file_says_of_its_time_is_a_time_or_nothing(said: object) -> None:
    raw = {"allegro_configuration": 1, "settings": {}, "device": "\x1b", "time": said}
    assert configuration(raw).time == ""


def test_some_sections_alone() -> None:
    file = exported(SET, "", **FACTS)
    taken = taken_over(file["settings"], Settings(), ["trigger", "nothing"])
    assert taken.patch.keys() == {"trigger"}


def test_differences_have_labels_and_no_secrets() -> None:
    found = differences(Settings().model_dump(mode="json"), SET.model_dump(mode="json"))
    shown = {each.place: (each.section, each.label, each.before, each.after) for each in found}
    assert shown["trigger.before_s"] == (
        "trigger",
        "USB capture trigger, Before the press (seconds)",
        60,
        90,
    )
    assert shown["export.password"][2:] == ("", MASK)
    assert shown["wifi.access_point.password"] == ("wifi", "WiFi, Access point, Password", MASK, MASK)
    assert [row["name"] for row in shown["trigger.rows"][3]] == ["a"]
    assert [each.place for each in found][:2] == ["trigger.before_s", "trigger.rows"], "as they are declared"
