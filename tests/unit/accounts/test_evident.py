"""Which passwords are refused as evident, and that those which people are told to take are not."""

import pytest

from allegro.accounts.evident import evident
from allegro.accounts.passwords import check_new
from allegro.errors import InvalidInput

pytestmark = pytest.mark.spec("W1", "S6")

NAME, DEVICE, FIRST = "the name of the user", "the name of the device", "a word that is tried first"
ORDER, REPEATED = "keys or letters in their order", "the same over and over"


@pytest.mark.parametrize(
    ("password", "made_of"),
    [
        ("anna1234", NAME),
        ("Anna2026!", NAME),
        ("ANNAanna", NAME),
        ("2026-anna", NAME),
        ("allegro1", DEVICE),
        ("Allegro-MM", DEVICE),
        ("allegro2026allegro", DEVICE),
        ("A l l e g r o !", DEVICE),
        ("4llegro!", DEVICE),
        ("annaallegro", f"{NAME} and {DEVICE}"),
        ("password", FIRST),
        ("Password123", FIRST),
        ("P@ssw0rd1", FIRST),
        ("passwort!", FIRST),
        ("admin12345", FIRST),
        ("aaaaaaaa", REPEATED),
        ("11111111", REPEATED),
        ("abababab", REPEATED),
        ("20262026", REPEATED),
        ("qwertyui", ORDER),
        ("QWERTZ123", ORDER),
        ("lkjhgfdsa", ORDER),
        ("1q2w3e4r", ORDER),
        ("1qaz2wsx", ORDER),
        ("qweasdzxc", ORDER),
        ("azertyuiop", ORDER),
        ("abc12345", ORDER),
        ("abcdefgh", ORDER),
        ("12345678", ORDER),
        ("87654321", ORDER),
        ("123123123456", ORDER),
        ("a1234567", ORDER),
        ("        ", "blanks"),
    ],
)
def test_what_everybody_tries_is_evident(password: str, made_of: str) -> None:
    assert evident(password, "anna") == made_of
    with pytest.raises(InvalidInput, match="nothing in it but") as refused:
        check_new(password, "anna")
    assert (refused.value.place, "several words" in refused.value.remedy) == ("password", True)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "another one",
        "secretsecret",
        "anna likes bees",
        "my allegro stands in the cellar",
        "password of the file alone",
        "Tr0ub4dor",
        "qwerty and more",
        "x7!kQ9vz",
        "4711-0815-3",
        "48151623",
        "зеленый чай",
        "\U0001f600\U0001f40e\U0001f50b\U0001f4ce\U0001f389\U0001f333\U0001f4a1\U0001f511",
    ],
)
def test_what_has_something_of_its_own_is_not(password: str) -> None:
    assert evident(password, "anna") == ""
    check_new(password, "anna")


def test_a_name_of_a_letter_or_two_is_no_piece() -> None:
    assert evident("axe-bandana", "a") == ""
    assert evident("banana split", "an") == ""


def test_the_longest_password_is_judged_as_well() -> None:
    assert evident("abcdefgh" * 32, "anna") == ORDER
    assert evident("qwerty" * 42 + "x!", "anna") == ""
