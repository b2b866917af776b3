"""What of the external tree must agree with other files. `make image-check` runs Buildroot's own checks."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
BUILDROOT = REPOSITORY / "board/allegro/buildroot"
CONFIGURATIONS = [
    REPOSITORY / "configs/allegro_x86_64_defconfig",
    BUILDROOT / "busybox.config",
    *sorted((BUILDROOT / "kernel").glob("*.config")),
]


def test_users_are_those_of_sysusers() -> None:
    """Files on the data partition belong to the numbers: both kinds of image must give the same."""
    sysusers = (REPOSITORY / "rootfs_overlay/usr/lib/sysusers.d/allegro.conf").read_text()
    wanted = re.findall(r'^u (\S+) (\d+) "(.*)"', sysusers, re.M)
    recipe = (REPOSITORY / "package/allegro/allegro.mk").read_text()
    found = re.findall(r"^\t(\S+) (\d+) (\S+) (\d+) \* - - - (.*)$", recipe, re.M)
    assert wanted
    assert found == [(name, number, name, number, text) for name, number, text in wanted]


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.name)
def test_no_symbol_is_asked_for_twice(file: Path) -> None:
    names = re.findall(r"^(?:# )?(\w+)(?:=| is not set)", file.read_text(), re.M)
    assert names
    assert sorted(names) == sorted(set(names))


def test_kernel_files_do_not_overlap() -> None:
    seen: dict[str, str] = {}
    for file in sorted((BUILDROOT / "kernel").glob("*.config")):
        for name in re.findall(r"^(CONFIG_\w+)=", file.read_text(), re.M):
            assert name not in seen, f"{name} is in {seen.get(name)} and {file.name}"
            seen[name] = file.name


def test_defconfig_names_files_that_exist() -> None:
    text = (REPOSITORY / "configs/allegro_x86_64_defconfig").read_text()
    names = re.findall(r"\$\(BR2_EXTERNAL_ALLEGRO_PATH\)/([^\s\"]+)", text)
    assert len(names) >= 7
    assert [name for name in names if not (REPOSITORY / name).exists()] == []
    scripts = [REPOSITORY / name for name in names if name.endswith(".sh")]
    assert [script for script in scripts if not script.stat().st_mode & 0o100] == []


def test_kernel_drives_what_the_development_image_has_in_its_initramfs() -> None:
    """What a slot may lie on is built in; the build checks that once more, by the modules' names."""
    built_in = "".join(file.read_text() for file in (BUILDROOT / "kernel").glob("*.config"))
    symbols = {
        "squashfs": "SQUASHFS",
        "virtio_pci": "VIRTIO_PCI",
        "virtio_blk": "VIRTIO_BLK",
        "virtio_scsi": "SCSI_VIRTIO",
        "vmw_pvscsi": "VMWARE_PVSCSI",
        "mptspi": "FUSION_SPI",
        "hv_vmbus": "HYPERV",
        "hv_storvsc": "HYPERV_STORAGE",
        "nvme": "BLK_DEV_NVME",
        "ahci": "SATA_AHCI",
        "ata_piix": "ATA_PIIX",
        "sd_mod": "BLK_DEV_SD",
        "xhci_pci": "USB_XHCI_HCD",
        "ehci_pci": "USB_EHCI_HCD",
        "uhci_hcd": "USB_UHCI_HCD",
        "usb_storage": "USB_STORAGE",
        "uas": "USB_UAS",
        "sdhci_pci": "MMC_SDHCI_PCI",
        "mmc_block": "MMC_BLOCK",
    }
    text = (REPOSITORY / "board/allegro/initramfs/modules.txt").read_text()
    modules = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert set(modules) == set(symbols), (
        "a module was added or removed: say here by which symbol the kernel has it"
    )
    assert [name for name, symbol in symbols.items() if f"CONFIG_{symbol}=y\n" not in built_in] == []


def test_what_compiles_filters_is_on_both_images() -> None:
    """`allegro.filters.libpcap` reaches it by ctypes, so no package asks for it."""
    assert "\tselect BR2_PACKAGE_LIBPCAP " in (REPOSITORY / "package/allegro/Config.in").read_text()
    assert "\nlibpcap0.8" in (REPOSITORY / "board/allegro/debian/packages.txt").read_text()


def test_what_dissects_packets_is_on_both_images() -> None:
    configuration = (REPOSITORY / "configs/allegro_x86_64_defconfig").read_text()
    assert "\nBR2_PACKAGE_WIRESHARK=y\n# BR2_PACKAGE_WIRESHARK_GUI is not set\n" in configuration
    assert "\nwireshark-common" in (REPOSITORY / "board/allegro/debian/packages.txt").read_text()
    assert "usr/bin/sharkd" not in (BUILDROOT.parent / "debian/drop.txt").read_text().splitlines()
