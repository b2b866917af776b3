"""`make image`: what is asked of Buildroot, and what is said when it fails."""

from pathlib import Path

import pytest

from board.allegro.image.kconfig import read_config
from board.allegro.image.workshop import BuildError
from scripts import build_image


def test_fragment_counts_over_the_defconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fragment = tmp_path / "fragment"
    fragment.write_text("# BR2_PACKAGE_RAUC_STREAMING is not set\nBR2_JLEVEL=1\n")
    monkeypatch.delenv("BUILDROOT_FRAGMENT", raising=False)
    plain = read_config(build_image.asked_configuration())
    assert plain["BR2_PACKAGE_RAUC_STREAMING"] == "y"
    monkeypatch.setenv("BUILDROOT_FRAGMENT", str(fragment))
    asked = build_image.asked_configuration()
    assert asked.count("BR2_PACKAGE_RAUC_STREAMING") == 1
    assert read_config(asked) == plain | {"BR2_PACKAGE_RAUC_STREAMING": "n", "BR2_JLEVEL": "1"}


def test_fragment_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDROOT_FRAGMENT", "/nowhere/fragment")
    with pytest.raises(BuildError, match="BUILDROOT_FRAGMENT=/nowhere/fragment"):
        build_image.asked_configuration()


def test_failed_download_names_the_package_and_what_helps() -> None:
    lines = [
        "wget: unable to resolve host address",
        "make[1]: *** [package/pkg-generic.mk:184: /x/out/build/rauc-1.15.2/.stamp_downloaded] Error 1",
        "make: *** [Makefile:83: _all] Error 2",
    ]
    text = build_image.explain(lines, Path("/x/log/buildroot.log"))
    assert text.startswith("The source of rauc-1.15.2 could not be downloaded")
    for part in (
        "unable to resolve",
        "BUILDROOT_OPTIONS",
        "BR2_DL_DIR",
        "BR2_PRIMARY_SITE",
        "/x/log/buildroot.log",
    ):
        assert part in text


def test_other_failures_show_the_last_lines() -> None:
    text = build_image.explain(
        ["1 of 352 asked-for symbols are not in .config:", "  CONFIG_X=y (is missing)"], None
    )
    assert "CONFIG_X=y" in text
    assert "downloaded" not in text


@pytest.mark.parametrize("line", ["\x1b[7m>>> rauc 1.15.2 Building\x1b[27m", ">>> rauc 1.15.2 Building"])
def test_headings_are_the_progress(line: str) -> None:
    match = build_image.HEADING.match(line)
    assert match
    assert match[1] == "rauc 1.15.2 Building"
