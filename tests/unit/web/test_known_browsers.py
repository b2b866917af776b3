from dataclasses import replace
from pathlib import Path

import pytest

from allegro.accounts.users import User
from allegro.web.known_browsers import COOKIE, KnownBrowsers, kept_key
from tests.unit.web.world import PASSWORD, Browser, World


def test_a_note_is_for_one_user_and_cannot_be_made_by_others() -> None:
    ours, theirs = KnownBrowsers(b"a" * 32), KnownBrowsers(b"b" * 32)
    anna, admin = User("anna", "admin", "$argon2id$1"), User("admin", "admin", "$argon2id$1")
    note = ours.note(anna)
    assert ours.name(note, anna)
    assert ours.note(anna) != note
    for wrong, user in (
        (note, admin),
        (note, replace(anna, password="$argon2id$2")),
        (note, None),
        (note[:-1], anna),
        (f"{note} ", anna),
        ("", anna),
        ("\ud800", anna),
    ):
        assert ours.name(wrong, user) == ""
    assert theirs.name(note, anna) == ""


def test_the_key_is_kept_and_nobody_elses(tmp_path: Path) -> None:
    key = kept_key(tmp_path / "browsers.key")
    assert kept_key(tmp_path / "browsers.key") == key
    assert (tmp_path / "browsers.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "browsers.key").write_bytes(b"torn")
    assert len(kept_key(tmp_path / "browsers.key")) == 32
    (tmp_path / "folder").mkdir()
    assert len(kept_key(tmp_path / "folder")) == 32
    assert len(kept_key(tmp_path / "nowhere/browsers.key")) == 32


@pytest.mark.spec("S3", "W1")
def test_a_browser_that_has_logged_in_before_gets_in_beside_guesses_from_its_own_address(
    world: World,
) -> None:
    owner = world.user("admin")
    assert COOKIE in owner.cookies
    owner.post("/logout")
    stranger = Browser(world.app)
    for _ in range(10):
        stranger.log_in("the-admin", "guess")
    assert stranger.log_in("the-admin", PASSWORD + "!").status_code == 429
    assert owner.log_in("the-admin", PASSWORD + "!").headers["location"] == "/"
    assert stranger.log_in("the-admin", PASSWORD + "!").status_code == 429


@pytest.mark.spec("S3", "W1")
def test_a_new_password_makes_a_stranger_of_every_browser_but_the_one_in_which_it_was_chosen(
    world: World,
) -> None:
    owner, other = world.user("admin"), Browser(world.app)
    other.log_in("the-admin", PASSWORD + "!")
    owner.post("/password", old=PASSWORD + "!", password=PASSWORD + "?", again=PASSWORD + "?")
    stranger = Browser(world.app)
    for _ in range(10):
        stranger.log_in("the-admin", "guess")
    assert other.log_in("the-admin", PASSWORD + "?").status_code == 429
    assert owner.log_in("the-admin", PASSWORD + "?").headers["location"] == "/"
