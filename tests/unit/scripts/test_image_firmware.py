from pathlib import Path

from board.allegro.image.debian_system import keep_firmware


def test_only_the_listed_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/firmware"
    for name in ("a/one.bin", "a/two.bin", "b/c/three.bin", "four.bin"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "five.bin").symlink_to("a/one.bin")
    (folder / "six.bin").symlink_to("a/two.bin")
    assert keep_firmware(tmp_path, ["a/one.*", "five.bin", "gone.bin"]) == ["gone.bin"]
    left = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert left == {"a", "a/one.bin", "five.bin"}
