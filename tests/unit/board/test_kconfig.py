"""The check that nothing asked for is dropped."""

from pathlib import Path

import pytest

from board.allegro.image import kconfig


def test_values_comments_and_what_is_off() -> None:
    text = '# a comment\nCONFIG_A=y\nCONFIG_S="x=y # z"\n# CONFIG_B is not set\n\nCONFIG_C=m\nCONFIG_C=y\n'
    assert kconfig.read_config(text) == {
        "CONFIG_A": "y",
        "CONFIG_S": '"x=y # z"',
        "CONFIG_B": "n",
        "CONFIG_C": "y",
    }


def test_dropped_symbols_are_named_in_order() -> None:
    asked = kconfig.read_config(
        "CONFIG_Z=y\nCONFIG_GONE=m\nCONFIG_A=m\n# CONFIG_OFF is not set\nCONFIG_K=y\n"
    )
    result = kconfig.read_config("CONFIG_A=y\nCONFIG_K=y\n# CONFIG_Z is not set\nCONFIG_OFF=y\n")
    assert kconfig.dropped(asked, result) == [
        "CONFIG_Z=y (is n)",
        "CONFIG_GONE=m (is missing)",
        "CONFIG_A=m (is y)",
        "CONFIG_OFF=n (is y)",
    ]


def test_off_may_be_missing() -> None:
    assert kconfig.dropped({"CONFIG_A": "n"}, {}) == []


def test_command_fails_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, one, two = (tmp_path / name for name in ("result", "one", "two"))
    result.write_text("CONFIG_A=y\n")
    one.write_text("CONFIG_A=y\nCONFIG_B=m\n")
    two.write_text("CONFIG_C=y\n")
    assert kconfig.main(result, one) == 1
    assert "1 of 2 asked-for symbols" in (text := capsys.readouterr().err)
    assert "CONFIG_B=m (is missing)" in text
    assert str(one) in text
    assert kconfig.main(result, one, two) == 1
    result.write_text("CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=y\n")
    assert kconfig.main(result, one, two) == 0


def test_a_check_of_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("# nothing\n")
    assert kconfig.main(tmp_path / "empty", tmp_path / "empty") == 1
    assert kconfig.main(tmp_path / "empty") == 1
