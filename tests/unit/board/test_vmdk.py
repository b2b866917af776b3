import subprocess
from pathlib import Path

import pytest

from board.allegro.release.vmdk import set_content_id

MIB = 1 << 20


def make(folder: Path) -> Path:
    """A stream-optimised disk by qemu-img."""
    raw, disk = folder / "disk.raw", folder / "disk.vmdk"
    raw.write_bytes(bytes(MIB) + b"content" * 10000 + bytes(MIB))
    command = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
    subprocess.run([*command, raw, disk], check=True)
    return disk


@pytest.mark.spec("I1")
def test_two_conversions_become_the_same(tmp_path: Path) -> None:
    disks = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        disks.append(make(tmp_path / name))
        set_content_id(disks[-1], 0xC0FFEE)
    assert disks[0].read_bytes() == disks[1].read_bytes()
    assert b"\nCID=00c0ffee\n" in disks[0].read_bytes()


def test_a_content_id_of_few_digits_leaves_no_trace(tmp_path: Path) -> None:
    """As QEMU writes them: without leading zeros, over what stood there before."""
    disk = make(tmp_path)
    set_content_id(disk, 0xC0FFEE)
    wanted = disk.read_bytes()
    short = wanted.replace(b"\nCID=00c0ffee\n", b"\nCID=abcdef1\n", 1)
    at = short.index(b"\0", short.index(b"CID="))
    disk.write_bytes(short[:at] + b"\n" + short[at:])
    set_content_id(disk, 0xC0FFEE)
    assert disk.read_bytes() == wanted


def test_the_content_stays(tmp_path: Path) -> None:
    disk = make(tmp_path)
    set_content_id(disk, 1)
    command = ["qemu-img", "compare", "-f", "raw", "-F", "vmdk", str(tmp_path / "disk.raw"), str(disk)]
    assert "identical" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(bytes(1000))
    with pytest.raises(ValueError, match="not a VMDK"):
        set_content_id(file, 1)
