"""What a shipped image and one for development differ in."""

from pathlib import Path

import pytest

from board.allegro.image import edition

pytestmark = pytest.mark.spec("S4")


@pytest.fixture
def options(tmp_path: Path) -> Path:
    file = tmp_path / "options.txt"
    file.write_text("# options\nquiet  # few words\npanic=10\n")
    return file


def test_what_is_shipped_takes_no_credentials_from_the_machine(options: Path) -> None:
    made = edition.to_hand_out("1.2.3", options, for_development=False)
    assert made == edition.Edition("1.2.3", "quiet panic=10 systemd.import_credentials=no", shipped=True)


def test_an_image_for_development_says_so_in_its_version(options: Path) -> None:
    made = edition.to_hand_out("1.2.3", options, for_development=True)
    assert made == edition.Edition("1.2.3+development", "quiet panic=10", shipped=False)


def test_the_benchs_own_image_has_the_plain_version(options: Path) -> None:
    assert edition.development("1.2.3", options) == edition.Edition("1.2.3", "quiet panic=10", shipped=False)
