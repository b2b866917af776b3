import json
import os
from pathlib import Path

import pytest

from allegro.errors import InvalidInput, Unavailable
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore, known_part, merged


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def test_no_file_means_defaults(path: Path) -> None:
    store = SettingsStore(path)
    assert store.current == Settings()
    assert store.problem == ""
    assert not path.exists()


def test_a_change_is_there_after_restart(path: Path) -> None:
    old, new = SettingsStore(path).change({"trigger": {"before_s": 90}})
    assert (old.trigger.before_s, new.trigger.before_s) == (60, 90)
    again = SettingsStore(path)
    assert again.current.trigger.before_s == 90
    assert again.current.trigger.debounce_ms == 1000
    assert again.problem == ""


def test_the_file_is_for_root_only(path: Path) -> None:
    SettingsStore(path).change({"export": {"password": "geheim"}})
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_wrong_change_changes_nothing(path: Path) -> None:
    store = SettingsStore(path)
    store.change({"trigger": {"before_s": 90}})
    before = path.read_bytes()
    with pytest.raises(InvalidInput) as caught:
        store.change({"trigger": {"before_s": 91, "after_s": -1}})
    assert caught.value.place == "trigger.after_s"
    assert path.read_bytes() == before
    assert store.current.trigger.before_s == 90


def test_a_full_disk_is_told_and_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SettingsStore(path)
    store.change({"trigger": {"before_s": 90}})

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        store.change({"trigger": {"before_s": 91}})
    assert store.current.trigger.before_s == 90
    assert json.loads(path.read_bytes())["trigger"]["before_s"] == 90
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\x00" * 4096,
        b"[]",
        b'{"trigger": {"before_s": -1}}',
        b'{"schema_version": "x"}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_put_aside_and_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    store = SettingsStore(path)
    assert store.current == Settings()
    (aside,) = path.parent.iterdir()
    assert aside.name.startswith("settings.damaged-")
    assert aside.read_bytes() == content
    assert "default settings" in store.problem
    assert aside.name in store.problem
    store.change({"trigger": {"before_s": 90}})
    assert store.problem == ""
    assert SettingsStore(path).current.trigger.before_s == 90


def test_a_reader_leaves_a_damaged_file_alone(path: Path) -> None:
    path.write_bytes(b"{")
    store = SettingsStore(path, read_only=True)
    assert store.problem
    assert path.read_bytes() == b"{"


def test_a_file_that_the_disk_does_not_give_stays_and_is_not_overwritten(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    SettingsStore(path).change({"trigger": {"before_s": 90}})
    content = path.read_bytes()

    def broken(self: Path) -> bytes:
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", broken)
        store = SettingsStore(path)
        assert store.current == Settings()
        assert "Input/output error" in store.problem
        with pytest.raises(Unavailable, match="the present ones cannot be read"):
            store.change({"trigger": {"after_s": 5}})
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.json"]
    assert path.read_bytes() == content
    with pytest.raises(InvalidInput):
        store.change({"trigger": {"after_s": -1}})
    old, new = store.change({"trigger": {"after_s": 5}})
    assert (old.trigger.before_s, new.trigger.before_s, new.trigger.after_s) == (60, 90, 5)
    assert store.problem == ""


def test_a_folder_that_takes_no_settings_is_told(tmp_path: Path) -> None:
    store = SettingsStore(tmp_path / "missing" / "settings.json")
    assert store.current == Settings()
    assert "none can be saved" in store.problem


def test_a_read_only_disk_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SettingsStore(path)

    def refused(path: Path, content: bytes) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("allegro.settings.settings_file.write_atomically", refused)
    with pytest.raises(Unavailable, match="Read-only file system") as caught:
        store.change({"trigger": {"before_s": 91}})
    assert "replace the disk" in caught.value.remedy


def test_a_newer_file_keeps_what_is_understood(path: Path) -> None:
    newer = {
        "schema_version": 99,
        "hologram": {"on": True},
        "trigger": {"before_s": 90, "after_s": "soon", "smell": "coffee"},
        "management": {"mode": "quantum"},
        "export": {"enabled": True, "host": "files.example", "username": "probe", "time": "25:61"},
    }
    path.write_text(json.dumps(newer))
    store = SettingsStore(path)
    assert store.problem == ""
    assert store.current.trigger.before_s == 90
    assert store.current.trigger.after_s == 0
    assert store.current.management.mode == "dhcp"
    assert store.current.export.host == "files.example"
    assert store.current.export.time == "02:00"
    assert store.current.schema_version == 1


def test_known_part_of_nonsense_is_empty() -> None:
    assert known_part({"trigger": 5, "export": None, "x": {}}) == {}


def test_merging_goes_down_and_leaves_the_base_alone() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": [1, 2]}
    assert merged(base, {"a": {"b": 5}, "d": [3]}) == {"a": {"b": 5, "c": 2}, "d": [3]}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1, 2]}


def test_a_leftover_of_a_power_cut_does_no_harm(path: Path) -> None:
    path.with_name(".settings.json.partial").write_bytes(b'{"tri')
    store = SettingsStore(path)
    assert store.problem == ""
    store.change({"trigger": {"before_s": 90}})
    assert [entry.name for entry in path.parent.iterdir()] == ["settings.json"]


@pytest.mark.spec("U7")
def test_names_of_another_version_stay_in_the_file_through_changes(path: Path) -> None:
    written = {
        "schema_version": 1,
        "hologram": {"on": True},
        "trigger": {
            "before_s": 90,
            "smell": "coffee",
            "presenters": [{"vendor": "046d", "product": "c52d", "name": "R400", "colour": "black"}],
        },
    }
    path.write_text(json.dumps(written))
    store = SettingsStore(path)
    assert store.problem == ""
    assert store.current.trigger.before_s == 90
    assert store.current.trigger.presenters[0].name == "R400"
    store.change({"trigger": {"before_s": 91}})
    store.change({"export": {"port": 2222}})
    content = json.loads(path.read_bytes())
    assert (content["hologram"], content["trigger"]["smell"]) == ({"on": True}, "coffee")
    assert (content["trigger"]["before_s"], content["export"]["port"]) == (91, 2222)
    again = SettingsStore(path)
    assert again.problem == ""
    assert (again.current.trigger.before_s, again.current.export.port) == (91, 2222)


@pytest.mark.spec("U7")
def test_a_newer_version_finds_its_settings_again_after_a_roll_back(path: Path) -> None:
    newer = {
        "schema_version": 99,
        "hologram": {"on": True},
        "trigger": {"before_s": 90},
        "management": {"mode": "quantum", "dns": ["192.0.2.1"]},
        "links": {"mode": "ring"},
    }
    path.write_text(json.dumps(newer))
    store = SettingsStore(path)
    assert (store.current.trigger.before_s, store.current.management.mode) == (90, "dhcp")
    store.change({"trigger": {"before_s": 30}, "links": {"mode": "sink"}})
    content = json.loads(path.read_bytes())
    # What only the newer version understands is as it was, but for what was set here.
    assert content["schema_version"] == 99
    assert content["hologram"] == {"on": True}
    assert content["management"]["mode"] == "quantum"
    assert content["management"]["dns"] == ["192.0.2.1"]
    assert (content["trigger"]["before_s"], content["links"]["mode"]) == (30, "sink")
    again = SettingsStore(path)
    assert again.problem == ""
    assert (again.current.trigger.before_s, again.current.links.mode) == (30, "sink")
    assert again.current.management.dns == ("192.0.2.1",)


@pytest.mark.spec("U7")
def test_a_file_of_an_older_version_gets_the_new_defaults(path: Path) -> None:
    path.write_text('{"trigger": {"before_s": 90}}')
    store = SettingsStore(path)
    assert store.problem == ""
    assert store.current == Settings.model_validate({"trigger": {"before_s": 90}})
