"""Update bundles and what the device checks them by: RAUC's configuration and its bundles."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from board.allegro.image.layout import Layout
from board.allegro.image.workshop import Workshop, remove

if TYPE_CHECKING:  # Buildroot's Python, which needs only the configuration, has no cryptography
    from board.allegro.image.signing_keys import Keys

CONFIGURATION = """\
# Made with the image from board/allegro/layout.toml.
[system]
compatible={compatible}
bootloader=custom
bundle-formats=verity
mountprefix=/run/rauc/mnt
data-directory=/data/rauc
activate-installed=false

[keyring]
path=/etc/rauc/keyring.pem
check-purpose=codesign
# A device whose clock is wrong can be updated; what was signed while the certificate was valid stays good.
use-bundle-signing-time=true

[handlers]
bootloader-custom-backend=/usr/lib/rauc/allegro-boot-backend
"""

MANIFEST = """\
[update]
compatible={compatible}
version={version}
build={build}

[bundle]
format=verity

[image.rootfs]
filename={image}

[meta.allegro]
date={date}
notes={notes}
"""

CHECK = """\
[system]
compatible={compatible}
bootloader=noop

[keyring]
path={keyring}
check-purpose=codesign
use-bundle-signing-time=true
"""

IMAGE = "rootfs.img"
"""RAUC's file name ending for what is written to a raw slot as it is."""


def system_configuration(layout: Layout, compatible: str) -> str:
    """Return RAUC's system.conf: the two slots, and the factory slot, which is only read."""
    text = CONFIGURATION.format(compatible=compatible)
    for part in layout.partitions:
        if not part.rauc:
            continue
        text += f"\n[slot.{part.rauc}]\ndevice=/dev/disk/by-partlabel/{part.name}\ntype=raw\n"
        text += f"bootname={part.name}\n"
        if part.name == "factory":
            text += "readonly=true\n"
    return text


def make_bundle(
    shop: Workshop,
    tools: Path,
    slot: Path,
    keys: Keys,
    compatible: str,
    version: str,
    notes: str,
    target: Path,
) -> None:
    """Make a signed bundle (format verity) of a slot's squashfs; both lie in the work folder."""
    content = target.with_name("bundle-content")
    remove(content)
    content.mkdir()
    (content / IMAGE).hardlink_to(slot)
    time = datetime.fromtimestamp(shop.epoch, UTC)
    manifest = MANIFEST.format(
        compatible=compatible,
        version=version,
        build=time.strftime("%Y%m%dT%H%M%SZ"),
        image=IMAGE,
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        notes=key_file_value(notes),
    )
    (content / "manifest.raucm").write_text(manifest)
    # The signature is checked at once, as the device will check it.
    check = target.with_name("bundle.conf")
    check.write_text(CHECK.format(compatible=compatible, keyring=shop.copy_inside("keyring.pem")))
    command = ["rauc", f"--conf={shop.inside(check)}", "bundle"]
    command += [f"--cert={shop.copy_inside('signing.pem')}", f"--key={shop.copy_inside('signing.key')}"]
    command += [shop.inside(content), shop.inside(target)]
    files = {"signing.pem": keys.certificate, "signing.key": keys.key, "keyring.pem": keys.keyring}
    shop.run_inside(tools, command, log="bundle", files=files)
    remove(content)
    remove(check)


def key_file_value(text: str) -> str:
    """Return a text as one value of GLib's key files, in which RAUC keeps its manifest."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "")
    return f"\\s{escaped[1:]}" if escaped.startswith(" ") else escaped
