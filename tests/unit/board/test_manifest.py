"""Sizes and versions of what is in an image."""

from pathlib import Path

from board.allegro.image.manifest import Item, buildroot_items, render


def test_buildroot_packages_by_the_files_that_stayed(tmp_path: Path) -> None:
    for name, size in (("usr/bin/rauc", 5000), ("usr/lib/libm.so", 300), ("etc/shared", 7)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "usr/lib/link.so").symlink_to("libm.so")
    listed = (
        "rauc,./usr/bin/rauc\nrauc,./usr/share/dropped\nglibc,./usr/lib/libm.so\nglibc,./usr/lib/link.so\n"
        "gone,./usr/bin/gone\nglibc,./etc/shared\nallegro,./etc/shared\n"
    )
    folders = ["rauc-1.15.2", "host-rauc-1.15.2", "glibc-2.42", "buildroot-config", "allegro-0.1.0"]
    assert buildroot_items(tmp_path, listed, folders) == [
        Item("allegro", "0.1.0", 7),
        Item("glibc", "2.42", 300),
        Item("rauc", "1.15.2", 5000),
    ]


def test_rendered_with_what_the_packages_are() -> None:
    text = render("title", [("slot", 1 << 20)], "Buildroot packages", [Item("rauc", "1.15.2", 5000)], [])
    assert text.startswith(
        "title\n\n      1.0 MiB  slot\n\nBuildroot packages (KiB in the image, name, version)\n"
    )
    assert "        4 rauc 1.15.2\n" in text
