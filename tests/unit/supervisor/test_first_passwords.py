import errno
import json
from pathlib import Path

import pytest

from allegro.accounts.users import FIRST_PASSWORD as FIRST_LOGIN
from allegro.accounts.users import UserStore
from allegro.errors import InvalidInput, Unavailable
from allegro.keeping import copy_of
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.settings.wifi import AccessPoint, Wifi
from allegro.supervisor.changes import Applier, SettingsChanger
from allegro.supervisor.first_passwords import FirstPasswords, OwnWifiPassword, check_wifi_password
from allegro.system.configuration_reset import Order, remove_settings

pytestmark = pytest.mark.spec("S6")
OWN = Settings(wifi=Wifi(access_point=AccessPoint(password="a password of its own")))
PATCH = {"wifi": {"access_point": {"password": "a password of its own"}}}


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "data", tmp_path / "run")
    made.state.mkdir(parents=True)
    made.web.mkdir()
    return made


def started(paths: Paths) -> OwnWifiPassword:
    """As at a start of the supervisor."""
    store = SettingsStore(paths.settings)
    return OwnWifiPassword(paths.wifi_had_own_password, store, paths.settings)


def lose(path: Path) -> None:
    for each in (path, copy_of(path)):
        each.unlink(missing_ok=True)


def test_a_new_device_may_open_its_wifi_and_one_of_an_earlier_version_keeps_its_own(paths: Paths) -> None:
    assert not started(paths).is_lost
    SettingsStore(paths.settings).change({"trigger": {"before_s": 77}})
    assert not started(paths).is_lost
    assert not paths.wifi_had_own_password.exists()
    SettingsStore(paths.settings).change(PATCH)
    assert not started(paths).is_lost
    assert "a password" not in paths.wifi_had_own_password.read_text()


@pytest.mark.parametrize("left", ["nothing", "the size of the ring", "damaged", "folder in its place"])
def test_settings_that_are_lost_do_not_open_it_again(paths: Paths, left: str) -> None:
    SettingsStore(paths.settings).change(PATCH)
    started(paths)
    lose(paths.settings)
    if left == "the size of the ring":
        SettingsStore(paths.settings).state({"recording": {"ring_size_mib": 64}})
    elif left == "damaged":
        paths.settings.write_bytes(b"\0" * 100)
    elif left == "folder in its place":
        paths.settings.mkdir()
    assert started(paths).is_lost
    if left != "folder in its place":
        SettingsStore(paths.settings).change({"trigger": {"before_s": 77}})
        assert started(paths).is_lost, "the file is whole again, and states the default"
        SettingsStore(paths.settings).change(PATCH)
        assert not started(paths).is_lost


@pytest.mark.parametrize("left", ["damaged", "folder in its place"])
def test_nor_do_those_of_a_device_that_noted_nothing(paths: Paths, left: str) -> None:
    if left == "damaged":
        paths.settings.write_bytes(b"{")
    else:
        paths.settings.mkdir()
    assert started(paths).is_lost
    assert started(paths).is_lost, "and it is noted now"


def test_settings_that_can_be_read_again_are_not_lost_any_more(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a device that never had a password of its own: it must not keep its WiFi off for ever."""
    SettingsStore(paths.settings).change({"trigger": {"before_s": 77}})
    read = Path.read_bytes

    def fails(path: Path) -> bytes:
        if path in (paths.settings, copy_of(paths.settings)):
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", fails)
        assert started(paths).is_lost
        assert started(paths).is_lost
    assert not started(paths).is_lost
    assert not paths.wifi_had_own_password.exists()


def test_the_first_password_that_was_set_by_hand_with_an_older_release_holds(paths: Paths) -> None:
    """0.1.0, gone back to, takes it; the mark stays where it is meanwhile."""
    SettingsStore(paths.settings).change(PATCH)
    started(paths)
    content = json.loads(paths.settings.read_text())
    content["wifi"]["access_point"]["password"] = "Allegro-MM"
    paths.settings.write_text(json.dumps(content))
    assert not started(paths).is_lost
    assert not started(paths).is_lost
    content["wifi"]["access_point"]["password"] = "a password of its own"
    paths.settings.write_text(json.dumps(content))
    assert not started(paths).is_lost
    content["wifi"]["access_point"]["password"] = "kurz"
    paths.settings.write_text(json.dumps(content))
    assert started(paths).is_lost, "what it says is not accepted, which is not the first one"


def test_without_a_data_partition_it_is_not_known_and_so_not_opened(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "run")
    paths.data.mkdir()
    assert started(paths).is_lost


def test_a_mark_that_cannot_be_read_counts(paths: Paths) -> None:
    paths.wifi_had_own_password.mkdir()
    assert started(paths).is_lost


def test_a_change_that_nobody_confirmed_leads_back(paths: Paths) -> None:
    store = SettingsStore(paths.settings)
    own = OwnWifiPassword(paths.wifi_had_own_password, store, paths.settings)
    change = SettingsChanger(store, (Applier(("wifi",), own.apply),), (check_wifi_password,))
    change(PATCH)
    assert paths.wifi_had_own_password.exists()
    with pytest.raises(InvalidInput, match="of every new device"):
        change({"wifi": {"access_point": {"password": "Allegro-MM"}}})
    change.put_back({"wifi": Settings().wifi.model_dump(mode="json")})
    assert not own.is_lost
    assert not started(paths).is_lost


def test_other_changes_of_the_wifi_do_not_open_it(paths: Paths) -> None:
    SettingsStore(paths.settings).change(PATCH)
    started(paths)
    lose(paths.settings)
    own = started(paths)
    own.apply(Settings(wifi=Wifi(access_point=AccessPoint(channel=3))))
    assert own.is_lost
    own.apply(OWN)
    assert not own.is_lost


def left(paths: Paths, settings: Settings, *, closed: bool = False) -> tuple[str, ...]:
    return tuple(FirstPasswords(paths.users, paths.had_users, lambda: settings, lambda: closed).left())


def test_what_still_has_its_first_password(paths: Paths) -> None:
    assert left(paths, Settings()) == ("page", "WiFi")
    assert left(paths, Settings(), closed=True) == ("page",)
    assert left(paths, Settings(wifi=Wifi(mode="off"))) == ("page",)
    told = FirstPasswords(paths.users, paths.had_users, lambda: OWN, lambda: False)
    assert told.left() == ("page",)
    users = UserStore(paths.users)
    users.add("anna", "admin", "long enough")
    assert told.left() == ("page",), "the first user still has it"
    users.change("admin", password="a better one")
    assert told.left() == ()
    users.set_password("admin", "the very own")
    assert told.left() == ()
    users.delete("admin")
    assert told.left() == ()


def test_users_that_cannot_be_read_are_told_elsewhere(paths: Paths) -> None:
    paths.users.write_text(json.dumps({"users": [5]}))
    assert left(paths, OWN) == ()
    assert FIRST_LOGIN not in paths.users.read_text()
    lose(paths.users)
    paths.web.rmdir()
    assert left(paths, OWN) == ()


@pytest.mark.spec("S2")
@pytest.mark.parametrize("with_folder", [False, True])
def test_users_that_were_kept_once_and_are_lost_do_not_bring_the_first_login_back(
    paths: Paths, with_folder: bool
) -> None:
    told = FirstPasswords(paths.users, paths.had_users, lambda: OWN, lambda: False)
    assert told.left() == ("page",)
    assert not paths.had_users.exists(), "a new device"
    UserStore(paths.users, paths.had_users).set_password("admin", "the very own")
    assert told.left() == ()
    assert paths.had_users.exists()
    lose(paths.users)
    if with_folder:
        paths.web.rmdir()
        paths.web.mkdir()
    assert left(paths, OWN) == ()
    users = UserStore(paths.users, paths.had_users)
    assert users.locked
    assert "cannot be read (it is missing). Nobody can log in" in users.problem
    with pytest.raises(Unavailable, match="Nobody can log in"):
        users.verified("admin", FIRST_LOGIN)
    with pytest.raises(Unavailable, match="cannot be changed"):
        users.add("anna", "admin", "long enough")


@pytest.mark.spec("S2")
def test_a_reset_of_the_users_brings_the_first_login_back(paths: Paths) -> None:
    UserStore(paths.users).set_password("admin", "the very own")
    assert left(paths, OWN) == ()
    remove_settings(paths, Order(frozenset({"users"})))
    assert left(paths, OWN) == ()
    remove_settings(paths, Order())
    paths.web.mkdir(exist_ok=True)
    assert UserStore(paths.users, paths.had_users).verified("admin", FIRST_LOGIN)
    assert left(paths, OWN) == ("page",)


@pytest.mark.spec("S2")
def test_a_mark_of_users_that_cannot_be_read_counts(paths: Paths) -> None:
    paths.had_users.mkdir()
    assert UserStore(paths.users, paths.had_users).locked
