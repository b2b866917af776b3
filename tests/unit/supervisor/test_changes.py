import threading
from pathlib import Path

import pytest

from allegro.errors import InvalidInput, Unavailable
from allegro.settings.masks import MASK
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.supervisor.changes import Applier, SettingsChanger


@pytest.fixture
def store(tmp_path: Path) -> SettingsStore:
    return SettingsStore(tmp_path / "settings.json")


def test_only_the_parts_concerned_are_told_and_only_of_real_changes(store: SettingsStore) -> None:
    told: list[tuple[str, Settings]] = []
    change = SettingsChanger(
        store,
        (
            Applier(("trigger",), lambda new: told.append(("trigger", new))),
            Applier(("links", "management"), lambda new: told.append(("network", new))),
        ),
    )
    new, warnings = change({"links": {"mode": "sink"}, "trigger": {"before_s": 60}})
    assert warnings == []
    assert told == [("network", new)]
    assert store.current is new


def test_what_cannot_be_applied_is_saved_and_told(store: SettingsStore) -> None:
    def fails(_: Settings) -> None:
        raise Unavailable("The network is busy.", remedy="Try again.")

    told: list[Settings] = []
    change = SettingsChanger(store, (Applier(("links",), fails), Applier(("links",), told.append)))
    new, warnings = change({"links": {"mode": "sink"}})
    assert warnings == ["The network is busy. Try again."]
    assert told == [new], "one part that fails does not keep the others from being told"
    assert store.current.links.mode == "sink"


def test_nothing_is_applied_if_a_setting_is_wrong(store: SettingsStore) -> None:
    told: list[Settings] = []
    change = SettingsChanger(store, (Applier(("links",), told.append),))
    with pytest.raises(InvalidInput):
        change({"links": {"mode": "sink"}, "trigger": {"before_s": -1}})
    assert told == []


def test_what_is_applied_later_is_saved_and_checked_at_once(store: SettingsStore) -> None:
    told: list[Settings] = []
    applied = threading.Event()

    def apply(new: Settings) -> None:
        told.append(new)
        applied.set()

    change = SettingsChanger(store, (Applier(("links",), apply),))
    with pytest.raises(InvalidInput):
        change({"links": {"mode": "router"}}, later_s=0.01)
    new, warnings = change({"links": {"mode": "sink"}}, later_s=0.01)
    assert (store.current.links.mode, warnings) == ("sink", [])
    assert applied.wait(60)
    assert told == [new]


def test_a_masked_secret_is_kept(store: SettingsStore) -> None:
    change = SettingsChanger(store, ())
    change({"export": {"password": "geheim"}})
    new, _ = change({"export": {"password": MASK, "host": "files.example"}})
    assert (new.export.password, new.export.host) == ("geheim", "files.example")


def test_what_the_device_cannot_do_is_refused_before_it_is_saved(store: SettingsStore) -> None:
    def refuses(old: Settings, new: Settings) -> None:
        if new.trigger.before_s != old.trigger.before_s:
            raise InvalidInput("Not on this device.", place="trigger.before_s")

    told: list[Settings] = []
    change = SettingsChanger(store, (Applier(("links", "trigger"), told.append),), (refuses,))
    with pytest.raises(InvalidInput, match="Not on this device"):
        change({"trigger": {"before_s": 5}, "links": {"mode": "sink"}})
    assert (store.current.trigger.before_s, store.current.links.mode, told) == (60, "bridge", [])
    change({"links": {"mode": "sink"}})
    assert store.current.links.mode == "sink"
