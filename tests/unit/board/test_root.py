"""The root file system of a slot."""

from pathlib import Path

import pytest

from board.allegro.image.root import date_passwords


@pytest.mark.spec("I1")
def test_a_base_that_was_built_on_another_day_gives_the_same_image(tmp_path: Path) -> None:
    shadow = tmp_path / "etc/shadow"
    shadow.parent.mkdir()
    shadow.write_text("systemd-network:!*:20786:::::1:\nroot:*:20787:0:99999:7:::\nallegro:!*::::::\n")
    date_passwords(tmp_path, 20790 * 86400 + 5)
    assert shadow.read_text() == (
        "systemd-network:!*:20790:::::1:\nroot:*:20790:0:99999:7:::\nallegro:!*::::::\n"
    )
