"""The one description of the disk, and what is made from it."""

import configparser
import re
from pathlib import Path

import pytest

from allegro.firmware import boot_state
from board.allegro.image.bundle import system_configuration
from board.allegro.image.disk import boot_state_partition, genimage_configuration, grub_configuration
from board.allegro.image.layout import Layout, read_layout

REPOSITORY = Path(__file__).parents[3]
BOARD = REPOSITORY / "board/allegro"
UNITS = REPOSITORY / "rootfs_overlay/usr/lib/systemd/system"


@pytest.fixture
def layout() -> Layout:
    return read_layout(BOARD / "layout.toml")


def test_names_that_units_and_payload_use_are_those_of_the_layout(layout: Layout) -> None:
    names = [part.name for part in layout.partitions]
    assert names == ["bios-boot", "esp", "boot-state", "factory", "slot-a", "slot-b", "data"]
    assert {boot_state.DEVICE.name, boot_state.FACTORY, *boot_state.SLOTS} <= set(names)
    used = re.findall(r"/dev/disk/by-partlabel/([\w-]+)", (UNITS / "data.mount").read_text())
    assert used == ["data"]


def test_slots_are_equal_in_size_and_nothing_overlaps(layout: Layout) -> None:
    assert len({layout[name].size for name in ("factory", "slot-a", "slot-b")}) == 1
    ends = [part.start + part.size for part in layout.partitions]
    assert all(end <= part.start for end, part in zip(ends, layout.partitions[1:], strict=False))
    assert ends[-1] < layout.size


def test_rauc_knows_both_slots_and_only_reads_the_factory_slot(layout: Layout) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(system_configuration(layout, "allegro-x86_64"))
    assert parser["system"]["compatible"] == "allegro-x86_64"
    assert parser["keyring"].getboolean("use-bundle-signing-time")
    slots = {parser[name]["bootname"]: parser[name] for name in parser.sections() if name.startswith("slot.")}
    assert set(slots) == {"factory", "slot-a", "slot-b"}
    assert [name for name, slot in slots.items() if slot.get("readonly")] == ["factory"]
    for name, slot in slots.items():
        assert slot["device"] == f"/dev/disk/by-partlabel/{name}"
    backend = REPOSITORY / "rootfs_overlay" / parser["handlers"]["bootloader-custom-backend"].lstrip("/")
    assert backend.stat().st_mode & 0o111


def test_every_word_of_grub_cfg_is_filled_in(layout: Layout) -> None:
    text = grub_configuration(BOARD / "grub/grub.cfg.in", "panic=10", layout)
    assert not re.search(r"@[A-Z_]+@", text.replace("@WORDS@", ""))
    assert f'"($disk,gpt{layout["boot-state"].number})/first"' in text


@pytest.mark.spec("S4")
def test_grub_lets_nobody_edit_entries_or_type_commands(layout: Layout) -> None:
    """GRUB's manual, "Authentication and authorisation": nobody is in an empty list of superusers."""
    text = grub_configuration(BOARD / "grub/grub.cfg.in", "panic=10", layout)
    assert text.index('set superusers=""') < text.index("menuentry")
    entries = [line for line in text.splitlines() if line.startswith("menuentry")]
    assert len(entries) == 5
    assert all("--unrestricted" in line for line in entries), "starting asks nobody for a password"


def test_genimage_gets_every_partition_at_its_place(layout: Layout) -> None:
    text = genimage_configuration(layout, "1.0", 1, {"slot-a": "slot.img"})
    for part in layout.partitions:
        assert re.search(rf"partition {part.name} {{\s+offset = {part.start}\s+size = {part.size}\n", text)
    assert text.count("slot.img") == 1
    assert text == genimage_configuration(layout, "1.0", 1, {"slot-a": "slot.img"})
    assert text != genimage_configuration(layout, "1.1", 1, {"slot-a": "slot.img"})


def test_a_new_device_has_a_whole_boot_state(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "boot-state"
    file.write_bytes(boot_state_partition(layout["boot-state"].size))
    reading = boot_state.examine(file)
    assert reading.state == boot_state.BootState()
    assert reading.damaged == ()
