"""`make dist`: the files of a release, looked at with the tools of those who will use them."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import tarfile
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.validation.json import JsonStrictValidator

from board.allegro.image import edition
from board.allegro.image.layout import Layout, read_layout
from board.allegro.image.signing_keys import VARIABLES, Keys, find_keys
from board.allegro.image.workshop import Workshop, remove
from board.allegro.release import images
from board.allegro.release.ova import OVF
from board.allegro.release.sbom import SCHEMA
from scripts import build_vm, dist
from tests.harness.qemu import Configuration, VirtualMachine
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def run(*command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """The output of a program that must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def release_keys() -> Keys:
    """An authority that makes a release of what is built with it; kept, as the steps depend on it."""
    return find_keys(build_vm.REPOSITORY / "build/test-bundles/release-keys", {})


@pytest.fixture(scope="module")
def release(release_keys: Keys) -> Path:
    """The folder with the files; steps that are there already are not made again."""
    names = dict(zip(VARIABLES, map(str, astuple(release_keys)), strict=True))
    run(sys.executable, "-m", "scripts.dist", cwd=build_vm.REPOSITORY, environment=os.environ | names)
    return dist.OUTPUT


@pytest.fixture(scope="module")
def name() -> str:
    """What all files begin with."""
    return f"allegro-{build_vm.project_fact('VERSION')}"


@pytest.fixture(scope="module")
def layout() -> Layout:
    """Of the image for disks."""
    return read_layout(build_vm.BOARD / "layout.toml", images.DATA_SIZE)


@pytest.mark.spec("I1")
def test_everything_is_there_and_the_checksums_are_right(release: Path, name: str) -> None:
    endings = (
        *(".raucb", ".raw.zst", ".raw.bmap", ".qcow2", ".vmdk", ".ova", "-flash.pyz"),
        *("-sbom.cdx.json", "-licences.txt", "-licence-texts.tar.zst"),
    )
    assert {f"{name}{ending}" for ending in endings} <= {file.name for file in release.iterdir()}
    listed = (release / dist.SUMS).read_text().splitlines()
    assert {line.split("  ")[1] for line in listed} == {file.name for file in release.iterdir()} - {dist.SUMS}
    run("sha256sum", "--check", "--strict", "--quiet", dist.SUMS, cwd=release)


@pytest.fixture
def stick(tmp_path: Path, layout: Layout) -> Iterator[Path]:
    """A stick, a bit larger than the image, with old data on it: a loop device."""
    file = tmp_path / "stick"
    with file.open("wb") as disk:
        disk.truncate(layout.size + (8 << 20))
        for partition in layout.partitions:
            disk.seek(partition.start)
            disk.write(b"old data" * (1 << 17))
    device = run("losetup", "--find", "--show", file).strip()
    yield Path(device)
    run("losetup", "--detach", device)


@pytest.mark.spec("I1", "I2")
def test_the_image_on_a_stick_is_the_system(
    release: Path, name: str, layout: Layout, stick: Path, tmp_path: Path
) -> None:
    run(sys.executable, release / f"{name}-flash.pyz", "--yes", release / f"{name}.raw.zst", stick)
    table = json.loads(run("sfdisk", "--json", stick))["partitiontable"]["partitions"]
    assert [(each["name"], each["start"] * 512, each["size"] * 512) for each in table] == [
        (partition.name, partition.start, partition.size) for partition in layout.partitions
    ]
    with stick.open("rb") as disk:
        for partition, head in (("factory", b"hsqs"), ("slot-a", b"hsqs"), ("slot-b", bytes(4))):
            disk.seek(layout[partition].start)
            assert disk.read(4) == head, partition
        data = tmp_path / "data"
        disk.seek(layout["data"].start)
        data.write_bytes(disk.read(layout["data"].size))
    assert b"old data" not in data.read_bytes()
    run("e2fsck", "-f", "-n", data)


@pytest.mark.spec("S4")
def test_a_shipped_image_takes_no_units_from_the_machine(release: Path, name: str, tmp_path: Path) -> None:
    """The bench's agent, by which all other tests look into the device, gets nowhere."""
    image = tmp_path / "allegro.img"
    run("zstd", "-q", "-d", "--sparse", release / f"{name}.raw.zst", "-o", image)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    machine = VirtualMachine(tmp_path / "machine", Configuration(image=image, forwards=((port, 443),)))
    machine.start()
    try:
        wait_for(lambda: page_answers(port), "the page", 400)
        channels = {each["label"]: each for each in machine.qmp("query-chardev")}
        assert channels["agent"]["frontend-open"] is False, "something in the guest listens to the bench"
        assert "allegro-bench-agent" not in machine.serial_text()
    finally:
        machine.close()


def page_answers(port: int) -> bool:
    """Whether the log-in page is there."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/login", timeout=20, context=trusting) as page:
            return b"password" in page.read()
    except OSError:
        return False


@pytest.mark.spec("I1")
def test_disks_of_virtual_machines_hold_the_same(release: Path, name: str) -> None:
    qcow2, vmdk = release / f"{name}.qcow2", release / f"{name}.vmdk"
    for file, form in ((qcow2, "qcow2"), (vmdk, "vmdk")):
        info = json.loads(run("qemu-img", "info", "--output=json", file))
        assert (info["format"], info["virtual-size"]) == (form, images.VIRTUAL_DISK)
    assert "streamOptimized" in run("qemu-img", "info", vmdk)
    assert "No errors" in run("qemu-img", "check", qcow2)
    assert "identical" in run("qemu-img", "compare", qcow2, vmdk)


@pytest.mark.spec("I1")
def test_the_appliance_can_be_unpacked_and_read(release: Path, name: str, tmp_path: Path) -> None:
    run("tar", "--extract", "--file", release / f"{name}.ova", "--directory", tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        f"{name}.ovf",
        f"{name}.mf",
        f"{name}-disk1.vmdk",
    }
    for line in (tmp_path / f"{name}.mf").read_text().splitlines():
        file, digest = line.removeprefix("SHA256(").split(")= ")
        assert hashlib.sha256((tmp_path / file).read_bytes()).hexdigest() == digest
    envelope = ElementTree.parse(tmp_path / f"{name}.ovf").getroot()
    (reference,) = envelope.iter(f"{{{OVF}}}File")
    (disk,) = envelope.iter(f"{{{OVF}}}Disk")
    unpacked = tmp_path / reference.attrib[f"{{{OVF}}}href"]
    assert int(reference.attrib[f"{{{OVF}}}size"]) == unpacked.stat().st_size
    info = json.loads(run("qemu-img", "info", "--output=json", unpacked))
    assert int(disk.attrib[f"{{{OVF}}}capacity"]) == info["virtual-size"]


@pytest.fixture(scope="module")
def components(release: Path, name: str) -> list[dict[str, Any]]:
    """What the SBOM lists; it must keep the schema."""
    text = (release / f"{name}-sbom.cdx.json").read_text()
    assert JsonStrictValidator(SCHEMA).validate_str(text) is None
    listed: list[dict[str, Any]] = json.loads(text)["components"]
    return listed


@pytest.mark.spec("I1")
def test_the_sbom_lists_what_is_in_the_image(components: list[dict[str, Any]]) -> None:
    versions = {(each["name"], each["version"]) for each in components}
    manifest = (build_vm.REPOSITORY / "build/vm/manifest.txt").read_text()
    debian, python = manifest.split("Debian packages")[1].split("Python packages")
    packages = [tuple(line.split()[1:3]) for line in debian.splitlines()[1:] if line.strip()]
    assert len(packages) > 100
    assert set(packages) <= versions
    wheels = {line.split()[1].lower().replace("_", "-") for line in python.splitlines()[1:] if line.strip()}
    names = {each["name"].lower().replace("_", "-") for each in components}
    assert wheels - {"allegro"} <= names
    assert {"grub-pc-bin", "grub-efi-amd64-bin", "busybox-static", "htmx.org", "uplot"} <= names


@pytest.mark.spec("I1")
def test_licences_are_named_or_called_unknown(
    release: Path, name: str, components: list[dict[str, Any]], tmp_path: Path
) -> None:
    text = (release / f"{name}-licences.txt").read_text()
    for each in components:
        assert f"  {each['name']} " in text
        properties = {entry["name"]: entry["value"] for entry in each["properties"]}
        assert ("licenses" in each) != ("allegro:licence" in properties)
    unknown = [each["name"] for each in components if "licenses" not in each]
    assert f"the licence of {len(unknown)} is not stated" in text
    archive = tmp_path / "texts.tar"
    run("zstd", "-q", "-d", release / f"{name}-licence-texts.tar.zst", "-o", archive)
    with tarfile.open(archive) as content:
        texts = set(content.getnames())
    debian = {each["name"] for each in components if each["purl"].startswith("pkg:deb/")}
    without = {package for package in debian if f"debian/{package}" not in texts}
    assert without == set(), "Debian's policy wants a copyright file in each package"
    assert {"debian/common-licenses/GPL-2", "browser/htmx.org"} <= texts


@pytest.mark.spec("I1")
def test_made_twice_it_is_the_same(release: Path, release_keys: Keys) -> None:
    """All files but the bundle, whose signature holds the time."""
    folder = build_vm.REPOSITORY / "build/vm"
    shop = Workshop(
        folder, build_vm.REPOSITORY / "build/downloads", build_vm.REPOSITORY, build_vm.source_epoch()
    )
    made_for = edition.shipped(build_vm.project_fact("VERSION"), build_vm.KERNEL_OPTIONS)
    layout = read_layout(build_vm.BOARD / "layout.toml")
    built = build_vm.build(shop, release_keys, layout, made_for, with_bundle=False)
    again = shop.work / "release-again"
    remove(again)
    try:
        dist.make(shop, built, again)
        for file in sorted(again.iterdir()):
            assert filecmp.cmp(file, release / file.name, shallow=False), file.name
    finally:
        remove(again)
        shop.close()
