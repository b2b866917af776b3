import json
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.network.configure import memory
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.system import configuration_reset
from allegro.system.configuration_reset import KEEPS, KEPT_SECTIONS, Keep, Order

CAPTURE = "storage/20261121T143005Z_presenter_next.pcapng"
WAITING = "storage/upload/20261121T143005Z_presenter_prev.pcapng"
SEGMENT = "ring/00000000000000000001.seg"

SURVIVING = {
    *(CAPTURE, WAITING, SEGMENT, "firmware/allegro-2.raucb"),
    *("state/allegro.sqlite", "state/allegro.sqlite-wal", "state/system-id", "state/time"),
    *("state/events.json", "state/.events.json.good"),
}
USERS_OWN = {
    *("settings.json", "settings.damaged-20261121T143005Z.json", "state/ports.json", "state/ssh/id_ed25519"),
    "state/disks.json",
    *(
        "web/users.json",
        "web/tokens.json",
        "web/uploaded-certificate.pem",
        "web/certificate.pem",
        "state/of-a-later-version/file",
        "later/file",
        "had-users",
    ),
}
SETTINGS = {
    "schema_version": 1,
    "management": {"mode": "static", "address": "192.168.1.20/24"},
    "export": {"host": "files.example", "username": "probe"},
    "recording": {"ring_size_mib": 2048},
}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    for name in SURVIVING | USERS_OWN:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "settings.json").write_text(json.dumps(SETTINGS))
    return Paths(tmp_path)


def files(paths: Paths) -> set[str]:
    return {str(path.relative_to(paths.data)) for path in paths.data.rglob("*") if path.is_file()}


@pytest.mark.spec("U5")
def test_all_that_the_user_set_is_removed_and_captures_and_ring_are_kept(paths: Paths) -> None:
    outcome = configuration_reset.remove_settings(paths, Order())
    assert files(paths) == SURVIVING
    assert outcome.failed == []
    assert {"settings.json", "web", "later"} - set(outcome.removed) == {"settings.json"}
    assert (paths.data / CAPTURE).read_text() == CAPTURE


@pytest.mark.spec("W9")
@pytest.mark.parametrize(
    ("keep", "kept_files", "kept_sections"),
    [
        ("management", {"state/ports.json", "settings.json", ".settings.json.good"}, {"management"}),
        ("users", {"web/users.json", "web/tokens.json", "had-users"}, set()),
        ("storage", {"settings.json", ".settings.json.good", "state/disks.json"}, {"recording"}),
        ("keys", {"state/ssh/id_ed25519", "web/certificate.pem", "web/uploaded-certificate.pem"}, set()),
    ],
)
def test_keeps_what_it_is_told_to_keep_and_nothing_more(
    paths: Paths, keep: Keep, kept_files: set[str], kept_sections: set[str]
) -> None:
    configuration_reset.remove_settings(paths, Order(frozenset({keep})))
    assert files(paths) == SURVIVING | kept_files
    if kept_sections:
        kept = json.loads(paths.settings.read_text())
        assert kept == {name: SETTINGS[name] for name in ("schema_version", *kept_sections)}


@pytest.mark.spec("S2", "W9")
def test_last_good_copies_are_kept_and_removed_with_their_files(paths: Paths) -> None:
    SettingsStore(paths.settings).change({"export": {"password": "geheim"}})
    copies = {"web/.users.json.good", "state/ssh/.id_ed25519.good", "settings.json.damaged"}
    for name in copies:
        (paths.data / name).write_text("geheim")
    paths.settings.write_bytes(b"{")
    configuration_reset.remove_settings(paths, Order(frozenset({"management", "users"})))
    assert copies & files(paths) == {"web/.users.json.good"}
    for path in (paths.settings, paths.data / ".settings.json.good"):
        assert json.loads(path.read_text()).keys() == {"schema_version", "management", "wifi"}
        assert "geheim" not in path.read_text()


def test_keeping_everything_that_can_be_kept_still_removes_the_rest(paths: Paths) -> None:
    configuration_reset.remove_settings(paths, Order(frozenset(KEEPS)))
    assert json.loads(paths.settings.read_text()).keys() == {"schema_version", "management", "recording"}
    assert "later/file" not in files(paths)


@pytest.mark.spec("U3")
@pytest.mark.parametrize("keep", [[], ["management", "users"]])
def test_a_reset_done_twice_is_the_same_as_once(paths: Paths, keep: list[Keep]) -> None:
    configuration_reset.remove_settings(paths, Order(frozenset(keep)))
    once = files(paths)
    outcome = configuration_reset.remove_settings(paths, Order(frozenset(keep)))
    assert files(paths) == once
    assert not outcome.removed
    assert not outcome.failed


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", b'{"management": '])
def test_settings_that_make_no_sense_go_even_if_some_were_to_be_kept(paths: Paths, content: bytes) -> None:
    paths.settings.write_bytes(content)
    configuration_reset.remove_settings(paths, Order(frozenset({"management"})))
    assert not paths.settings.exists()


def test_links_are_removed_but_not_followed(paths: Paths, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text("not ours")
    (paths.data / "link").symlink_to(outside)
    (paths.data / "web").rename(paths.data / "old-web")
    (paths.data / "web").symlink_to(outside)
    configuration_reset.remove_settings(paths, Order(frozenset({"users"})))
    assert (outside / "file").exists()
    assert files(paths) == SURVIVING | {"had-users"}


def test_what_cannot_be_removed_is_told_and_the_rest_goes(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    outcome = configuration_reset.remove_settings(paths, Order())
    assert ("later", "Operation not permitted") in outcome.failed
    assert not paths.settings.exists()


def test_what_is_left_of_the_settings_is_understood(paths: Paths) -> None:
    paths.settings.unlink()
    store = SettingsStore(paths.settings)
    store.change({"management": SETTINGS["management"], "trigger": {"before_s": 90}})
    configuration_reset.remove_settings(paths, Order(frozenset({"management"})))
    kept = SettingsStore(paths.settings)
    assert kept.problem == ""
    assert kept.current.management.address == "192.168.1.20/24"
    assert kept.current.trigger == Settings().trigger


@pytest.mark.spec("U5")
def test_the_update_server_is_kept_if_newer_firmware_is_to_be_looked_for(paths: Paths) -> None:
    paths.settings.write_text(json.dumps(SETTINGS | {"firmware": {"server": "https://updates.example/"}}))
    configuration_reset.remove_settings(paths, Order(then_update=True))
    assert json.loads(paths.settings.read_text()) == {
        "schema_version": 1,
        "firmware": {"server": "https://updates.example/"},
    }
    configuration_reset.remove_settings(paths, Order())
    assert not paths.settings.exists()


def test_names_agree_with_those_of_other_parts() -> None:
    paths = Paths(Path("/data"))
    always = {paths.data / name for name in configuration_reset.ALWAYS_KEPT}
    assert {
        paths.ring,
        paths.storage,
        paths.database,
        paths.system_id,
        paths.events,
        configuration_reset.order_path(paths),
    } <= always
    kept = {paths.data / name for names in configuration_reset.KEPT_FILES.values() for name in names}
    assert {paths.ssh, memory(paths.state), paths.unconfirmed_change} <= kept
    known = set(Settings.model_fields)
    assert {"management", "recording"} <= {name for names in KEPT_SECTIONS.values() for name in names} & known


def test_an_order_is_read_as_it_was_written_and_can_be_withdrawn(paths: Paths) -> None:
    assert configuration_reset.read_order(paths) == Order()
    order = Order(frozenset({"users", "keys"}), then_update=True)
    configuration_reset.write_order(paths, order)
    assert configuration_reset.read_order(paths) == order
    configuration_reset.withdraw_order(paths)
    assert configuration_reset.read_order(paths) == Order()
    configuration_reset.withdraw_order(paths)


@pytest.mark.parametrize(
    "content", ['{"keep": "users"}', '{"keep": [["users"], "everything"], "then_update": 1}']
)
def test_what_no_version_knows_how_to_keep_is_not_kept(paths: Paths, content: str) -> None:
    configuration_reset.order_path(paths).write_text(content)
    assert configuration_reset.read_order(paths) == Order()


@pytest.mark.spec("S2", "W9")
@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_an_order_that_makes_no_sense_is_not_taken_for_one_to_keep_nothing(
    paths: Paths, content: str
) -> None:
    order = Order(frozenset({"users"}))
    configuration_reset.write_order(paths, order)
    path = configuration_reset.order_path(paths)
    path.write_text(content)
    assert configuration_reset.read_order(paths) == order
    path.with_name(f".{path.name}.good").unlink()
    with pytest.raises(Unavailable, match="what to keep makes no sense"):
        configuration_reset.read_order(paths)
    configuration_reset.withdraw_order(paths)
    assert configuration_reset.read_order(paths) == Order()


def test_the_order_survives_the_reset_because_it_may_have_to_be_done_again(paths: Paths) -> None:
    configuration_reset.write_order(paths, Order(frozenset({"users"})))
    configuration_reset.remove_settings(paths, Order(frozenset({"users"})))
    assert configuration_reset.read_order(paths) == Order(frozenset({"users"}))


def test_the_outcome_is_told_once(paths: Paths) -> None:
    assert configuration_reset.take_outcome(paths) is None
    outcome = configuration_reset.Outcome(["a"], [("later", "Operation not permitted")])
    configuration_reset.write_outcome(paths, outcome, Order(then_update=True))
    assert configuration_reset.take_outcome(paths) == configuration_reset.Told(("later",), True)
    assert configuration_reset.take_outcome(paths) is None
