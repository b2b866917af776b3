import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from allegro.accounts import passwords
from allegro.accounts.users import UserStore, first_login_holds
from allegro.errors import AllegroError, Conflict, InvalidInput, Unavailable
from allegro.keeping import copy_of


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 8)
    monkeypatch.setattr(passwords, "_ITERATIONS", 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.json"


def entry(name: str = "anna", **more: Any) -> dict[str, Any]:
    kept = passwords.hashed("secretsecret")
    return {"name": name, "role": "admin", "password": kept, "must_change": False, **more}


def store(path: Path, *entries: Mapping[str, Any], **more: Any) -> UserStore:
    path.write_text(json.dumps({"schema_version": 1, "users": entries, **more}))
    return UserStore(path)


def lets_in(users: UserStore, name: str = "admin", password: str = "allegro") -> bool:
    try:
        return users.verified(name, password) is not None
    except Unavailable:
        return False


def test_a_new_device_has_its_first_login(path: Path) -> None:
    users = UserStore(path)
    assert [(user.name, user.must_change) for user in users.all()] == [("admin", True)]
    assert lets_in(users)
    assert (users.problem, users.locked) == ("", False)


@pytest.mark.spec("S2")
@pytest.mark.parametrize(
    "odd",
    [
        {"role": "operator"},
        {"role": 5},
        {"password": "$2b$xx"},
        {"password": None},
        {"name": 1},
        {"name": "\ud800"},
        {"name": "a b\n"},
    ],
)
def test_an_entry_that_is_not_understood_costs_only_itself(path: Path, odd: dict[str, Any]) -> None:
    users = store(path, entry(), entry("bert") | odd)
    assert [user.name for user in users.all()] == ["anna"]
    assert lets_in(users, "anna", "secretsecret")
    assert not lets_in(users)
    assert not lets_in(users, "bert", "secretsecret")
    assert users.problem.startswith("These users cannot log in with this version")
    users.add("carl", "viewer", "startstart")
    assert json.loads(path.read_text())["users"][-1] == json.loads(json.dumps(entry("bert") | odd)) | {
        "password": odd.get("password", json.loads(path.read_text())["users"][-1]["password"])
    }
    if "name" not in odd:
        with pytest.raises(Conflict, match="whom this version does not understand"):
            users.add("bert", "viewer", "startstart")


@pytest.mark.spec("S2")
def test_a_password_that_may_have_been_given_by_somebody_else_has_to_be_changed(path: Path) -> None:
    without = {name: value for name, value in entry().items() if name != "must_change"}
    (anna,) = store(path, without).all()
    assert anna.must_change


@pytest.mark.spec("U7")
def test_what_a_newer_version_knows_of_users_survives_a_change(path: Path) -> None:
    users = store(path, entry(language="de"), tokens=[{"id": 1}], schema_version=2)
    users.add("bert", "viewer", "startstart")
    users.set_password("anna", "another one")
    content = json.loads(path.read_text())
    assert (content["schema_version"], content["tokens"]) == (2, [{"id": 1}])
    assert content["users"][0]["language"] == "de"
    users.delete("bert")
    assert [each["name"] for each in json.loads(path.read_text())["users"]] == ["anna"]


@pytest.mark.spec("S2")
@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"users": []}', b'{"users": [{"name": 1}]}', b"\xff"]
)
def test_a_damaged_file_lets_in_who_its_copy_names_and_nobody_by_a_default(
    path: Path, content: bytes
) -> None:
    UserStore(path).set_password("admin", "secretsecret")
    path.write_bytes(content)
    users = UserStore(path)
    assert lets_in(users, "admin", "secretsecret")
    assert not lets_in(users)
    assert users.problem.endswith("so its last good copy counts.")
    assert UserStore(path).problem == "", "the copy has taken its place"
    for each in (path, path.with_name(".users.json.good")):
        each.write_bytes(content)
    users = UserStore(path)
    assert users.locked
    assert not lets_in(users)
    with pytest.raises(Unavailable, match="Nobody can log in"):
        users.verified("admin", "secretsecret")
    with pytest.raises(Unavailable, match="cannot be changed"):
        users.add("bert", "admin", "startstart")
    assert path.read_bytes() == content


@pytest.mark.spec("S2")
def test_a_file_that_the_disk_does_not_give_lets_nobody_in_until_it_does(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    UserStore(path).set_password("admin", "secretsecret")
    content = path.read_bytes()

    def failing(self: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", failing)
        users = UserStore(path)
        assert users.locked
        assert not lets_in(users)
        assert not lets_in(users, "admin", "secretsecret")
    assert lets_in(users, "admin", "secretsecret"), "the disk gives it again"
    assert not lets_in(users)
    assert users.problem == ""
    assert path.read_bytes() == content


@pytest.mark.spec("S2")
@pytest.mark.parametrize("copied", [False, True])
def test_a_link_to_what_is_missing_lets_nobody_in_by_a_default(path: Path, copied: bool) -> None:
    UserStore(path).set_password("admin", "secretsecret")
    path.unlink()
    path.symlink_to("not mounted")
    if not copied:
        copy_of(path).unlink()
    users = UserStore(path)
    assert users.locked is not copied
    assert lets_in(users, "admin", "secretsecret") is copied
    assert not lets_in(users)
    assert not first_login_holds(path)


@pytest.mark.spec("S2")
def test_users_whose_folder_is_missing_are_not_a_new_device(tmp_path: Path) -> None:
    users = UserStore(tmp_path / "not mounted" / "users.json")
    assert users.locked
    assert not lets_in(users)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"role": "viewer", "password": "short"}, InvalidInput),
        ({"role": "viewer", "password": "secretsecret"}, InvalidInput),
        ({"role": "operator", "password": "another one"}, InvalidInput),
        ({"role": "viewer", "password": "another one"}, Conflict),
    ],
)
def test_role_and_password_change_together_or_not_at_all(
    path: Path, change: dict[str, str], error: type[AllegroError]
) -> None:
    users = store(path, entry("anna"))
    before = path.read_bytes(), users.all()
    with pytest.raises(error):
        users.change("anna", **change)
    assert (path.read_bytes(), users.all()) == before
    users.add("bert", "admin", "startstart")
    users.change("anna", role="viewer", password="another one")
    assert [(user.role, user.must_change) for user in users.all()] == [("viewer", True), ("admin", True)]
    assert lets_in(users, "anna", "another one")


def test_an_evident_password_is_refused_where_it_is_set_and_one_of_before_still_lets_in(path: Path) -> None:
    users = store(path, {**entry("anna"), "password": passwords.hashed("anna1234")})
    assert lets_in(users, "anna", "anna1234")
    for password in (" " * 8, "Anna2026!"):
        with pytest.raises(InvalidInput, match="too easy to guess"):
            users.set_password("anna", password)
    with pytest.raises(InvalidInput, match="too easy to guess"):
        users.add("berta", "viewer", "Berta-123")
    assert lets_in(UserStore(path), "anna", "anna1234")


def test_names_differ_by_more_than_capital_letters(path: Path) -> None:
    users = store(path, entry("anna"), entry("CARLA", role="operator"))
    for name, present in (("ANNA", "anna"), ("carla", "CARLA")):
        with pytest.raises(Conflict, match=f"There is a user {present} already"):
            users.add(name, "viewer", "secretsecret")


def test_users_of_before_whose_names_differ_by_that_alone_both_get_in(path: Path) -> None:
    users = store(path, entry("anna"), entry("ANNA"))
    assert lets_in(users, "anna", "secretsecret")
    assert lets_in(users, "ANNA", "secretsecret")


@pytest.mark.spec("U7")
def test_a_kept_user_whose_name_is_the_devices_own_by_now_still_logs_in(path: Path) -> None:
    users = store(path, entry("nobody"))
    assert lets_in(users, "nobody", "secretsecret")
    users.set_password("nobody", "another one")
    assert lets_in(UserStore(path), "nobody", "another one")
