import json
import os
from pathlib import Path

import pytest

from allegro.errors import InvalidInput, Unavailable
from allegro.settings.model import Settings
from allegro.settings.patches import differing, merged
from allegro.settings.settings_file import SettingsStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "settings.json"


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


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


@pytest.mark.spec("X2", "X4")
def test_another_protocol_than_sftp_forgets_the_sftp_server(path: Path) -> None:
    """Release 0.1.0 would log in there after a roll-back, with the other server's password."""
    store = SettingsStore(path)
    key = "SHA256:" + "A" * 43
    sftp = {"host": "files.example", "host_key": key, "host_key_type": "ssh-ed25519", "password": "one"}
    store.change({"export": {**sftp, "protocol": "sftp"}})
    assert store.current.export.host_key == key
    store.change({"export": {"protocol": "webdav", "password": "other"}})
    left = json.loads(path.read_text())["export"]
    assert (left["host"], left["host_key"], left["host_key_type"]) == ("files.example", "", "")
    store.change({"export": {"host_key": key}})
    assert store.current.export.host_key == key


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
    assert names(path) == [".settings.json.good", "settings.json"]


DAMAGED = pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\x00" * 4096,
        b"[]",
        b"\xff\xfe",
    ],
)


@pytest.mark.spec("S2")
@DAMAGED
def test_a_damaged_file_without_a_copy_is_told_and_put_aside_by_the_next_change(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    store = SettingsStore(path)
    assert store.current == Settings()
    assert "makes no sense" in store.problem
    assert "default settings" in store.problem
    assert path.read_bytes() == content
    assert SettingsStore(path).problem == store.problem, "a restart does not make it well"
    store.change({"trigger": {"before_s": 90}})
    assert store.problem == ""
    assert path.with_name("settings.json.damaged").read_bytes() == content
    assert SettingsStore(path).current.trigger.before_s == 90


@pytest.mark.spec("S2")
@DAMAGED
def test_a_damaged_file_gives_way_to_its_last_good_copy(path: Path, content: bytes) -> None:
    SettingsStore(path).change({"trigger": {"before_s": 90}})
    path.write_bytes(content)
    store = SettingsStore(path)
    assert store.current.trigger.before_s == 90
    assert store.problem.endswith("so its last good copy counts.")
    store.change({"trigger": {"after_s": 5}})
    assert store.problem == ""
    again = SettingsStore(path).current.trigger
    assert (again.before_s, again.after_s) == (90, 5)


@pytest.mark.spec("S2")
def test_a_file_of_an_older_version_has_a_copy_from_the_first_start_on(path: Path) -> None:
    path.write_text('{"schema_version": 1, "trigger": {"before_s": 90}}')
    SettingsStore(path, read_only=True)
    assert names(path) == ["settings.json"], "who only reads changes nothing"
    SettingsStore(path)
    path.write_bytes(b"")
    assert SettingsStore(path).current.trigger.before_s == 90


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
        assert store.problem == (
            "The settings file cannot be read (Input/output error). The device runs with default settings."
        )
        with pytest.raises(Unavailable, match="the present ones cannot be read"):
            store.change({"trigger": {"after_s": 5}})
    assert names(path) == [".settings.json.good", "settings.json"]
    assert path.read_bytes() == content
    with pytest.raises(InvalidInput):
        store.change({"trigger": {"after_s": -1}})
    old, new = store.change({"trigger": {"after_s": 5}})
    assert (old.trigger.before_s, new.trigger.before_s, new.trigger.after_s) == (60, 90, 5)
    assert store.problem == ""


def test_a_folder_that_takes_no_settings_is_told(tmp_path: Path) -> None:
    store = SettingsStore(tmp_path / "missing" / "settings.json")
    assert store.current == Settings()
    assert "cannot be read (its folder is missing)" in store.problem
    with pytest.raises(Unavailable):
        store.change({"trigger": {"before_s": 90}})


def test_a_read_only_disk_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SettingsStore(path)

    def refused(path: Path, content: bytes, *, mode: int) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("allegro.keeping.write_atomically", refused)
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
    assert [each.place for each in store.refused] == ["trigger.after_s", "export.time", "management.mode"]
    assert store.current.trigger.before_s == 90
    assert store.current.trigger.after_s == 0
    assert store.current.management.mode == "dhcp"
    assert store.current.export.host == "files.example"
    assert store.current.export.enabled
    assert store.current.export.time == "02:00"


@pytest.mark.spec("U7")
@pytest.mark.parametrize("version", [1, 2, 99, "1", None])
def test_one_value_that_is_not_accepted_costs_that_value_alone(path: Path, version: object) -> None:
    written = {
        "schema_version": version,
        "management": {"mode": "static", "address": "10.1.2.3/24"},
        "export": {"enabled": True, "host": "sftp.example", "username": "probe", "password": "geheim"},
        "time": {"zone": "Europe/Nowhere", "servers": ["192.0.2.1"]},
    }
    path.write_text(json.dumps(written))
    store = SettingsStore(path)
    assert store.problem == ""
    (refused,) = store.refused
    assert str(refused).startswith("time.zone: Is not a known time zone")
    assert str(refused).endswith("(got 'Europe/Nowhere')")
    assert store.current.time.zone == "UTC"
    assert store.current.time.servers == ("192.0.2.1",)
    assert store.current.management.address == "10.1.2.3/24"
    assert store.current.export.enabled
    store.change({"time": {"servers": ["192.0.2.2"]}, "trigger": {"before_s": 90}})
    content = json.loads(path.read_bytes())
    assert content["time"] == {**content["time"], "zone": "Europe/Nowhere", "servers": ["192.0.2.2"]}
    assert [each.place for each in store.refused] == ["time.zone"]
    store.change({"time": {"zone": "UTC"}})
    assert store.refused == ()
    assert json.loads(path.read_bytes())["time"]["zone"] == "UTC"


@pytest.mark.spec("U7")
def test_what_is_written_is_read_value_by_value_by_version_0_1_0(path: Path) -> None:
    SettingsStore(path).change({"trigger": {"before_s": 90}})
    assert json.loads(path.read_bytes())["schema_version"] > 1


def test_a_patch_of_what_differs() -> None:
    present = {"a": {"b": 1, "c": [1]}, "d": 2}
    assert differing({"a": {"b": 1, "c": [2]}, "d": 2, "e": 3}, present) == {"a": {"c": [2]}, "e": 3}
    assert differing(present, present) == {}


def test_merging_goes_down_and_leaves_the_base_alone() -> None:
    base = {"a": {"b": 1, "c": 2}, "d": [1, 2]}
    assert merged(base, {"a": {"b": 5}, "d": [3]}) == {"a": {"b": 5, "c": 2}, "d": [3]}
    assert base == {"a": {"b": 1, "c": 2}, "d": [1, 2]}


def test_a_leftover_of_a_power_cut_does_no_harm(path: Path) -> None:
    path.with_name(".settings.json.partial").write_bytes(b'{"tri')
    store = SettingsStore(path)
    assert store.problem == ""
    store.change({"trigger": {"before_s": 90}})
    assert names(path) == [".settings.json.good", "settings.json"]


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
    assert content["trigger"]["presenters"][0]["colour"] == "black"
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
def test_a_change_that_would_not_be_in_force_is_refused_with_what_stands_in_its_way(path: Path) -> None:
    path.write_text('{"wifi": {"mode": "off", "access_point": {"password": "kurz"}}}')
    store = SettingsStore(path)
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=r"wifi.access_point.password: Is not a WiFi") as refused:
        store.change({"wifi": {"mode": "access-point"}})
    assert refused.value.place == "wifi.mode"
    assert "kurz" not in str(refused.value)
    assert (path.read_bytes(), store.current.wifi.mode) == (before, "off")
    assert store.change({"wifi": {"access_point": {"ssid": "ours"}}})[1].wifi.access_point.ssid == "ours"
    both = {"wifi": {"mode": "access-point", "access_point": {"password": "long enough"}}}
    assert store.change(both)[1].wifi.mode == "access-point"


@pytest.mark.spec("U7")
def test_a_file_of_an_older_version_gets_the_new_defaults(path: Path) -> None:
    path.write_text('{"trigger": {"before_s": 90}}')
    store = SettingsStore(path)
    assert store.problem == ""
    assert store.current == Settings.model_validate({"trigger": {"before_s": 90}})


@pytest.mark.spec("U7")
@pytest.mark.parametrize("odd", ["x", None, [], 7])
@pytest.mark.parametrize("section", ["wifi", "links", "export", "management"])
def test_a_section_that_is_none_keeps_no_other_from_being_changed(
    path: Path, section: str, odd: object
) -> None:
    path.write_text(json.dumps({"schema_version": 2, section: odd}))
    store = SettingsStore(path)
    store.change({"trigger": {"before_s": 90}})
    assert SettingsStore(path).current.trigger.before_s == 90
    assert json.loads(path.read_text())[section] == odd
