"""Firmware bundles: what a manifest says, and which ones this device takes. Rules only, no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from allegro.errors import AllegroError, Conflict, InvalidInput
from allegro.firmware.verity import Tree
from allegro.firmware.versions import Version, compared

SUFFIX = ".raucb"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}" + re.escape(SUFFIX))
"""Names that a bundle may have, on the data partition and on an update server: no path, not hidden."""

META = "allegro"
"""Section [meta.allegro] of the manifest: date (ISO 8601) and notes of the release."""

LARGEST_NOTES = 20_000  # characters

_SQUASHFS_MAGIC = b"hsqs"  # kernel documentation, squashfs; each bundle begins with it


class Refusal(InvalidInput):
    """A bundle that this device does not take."""


@dataclass(frozen=True)
class Bundle:
    """What the signed manifest of a bundle says; sizes in bytes."""

    version: str
    compatible: str
    date: str
    notes: str
    image_size: int
    tree: Tree


def from_manifest(manifest: Mapping[str, Any]) -> Bundle:
    """The bundle of a manifest as RAUC shows it. Raises Refusal if it is not made for such a device."""
    try:
        update, bundle = manifest["update"], manifest["bundle"]
        if bundle["format"] != "verity":
            raise Refusal(f"The bundle has the format {bundle['format']}; only verity is taken.")
        tree = Tree(
            bytes.fromhex(bundle["verity-hash"]),
            bytes.fromhex(bundle["verity-salt"]),
            int(bundle["verity-size"]),
        )
        (image,) = manifest["images"]
        meta = manifest.get("meta", {}).get(META, {})
        made = Bundle(
            version=str(update["version"]),
            compatible=str(update["compatible"]),
            date=str(meta.get("date", "")),
            notes=str(meta.get("notes", ""))[:LARGEST_NOTES],
            image_size=int(image["size"]),
            tree=tree,
        )
        Version.parse(made.version)
    except Refusal:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, InvalidInput):
        raise Refusal("The bundle does not hold firmware of this kind.") from None
    return made


def check_fits(bundle: Bundle, compatible: str, slot_size: int) -> None:
    """Raises Refusal if the bundle is for another device or too large for a slot of `slot_size` bytes."""
    if bundle.compatible != compatible:
        raise Refusal(f"This firmware is for another device ({bundle.compatible}, this one is {compatible}).")
    if bundle.image_size > slot_size:
        raise Refusal(
            f"This firmware is too large: it needs {bundle.image_size / 1e6:.0f} MB,"
            f" a slot has {slot_size / 1e6:.0f} MB.",
        )


def check_not_older(version: str, running: str, *, confirmed: bool, what: str) -> None:
    """Raises Conflict for a step back that nobody confirmed; `what` is to be done, as in "install"."""
    if not confirmed and compared(version, running) in ("older", "unknown"):
        raise Conflict(
            f"{version} is older than the running version {running}.",
            place="older",
            remedy=f"Confirm that you want to {what} an older version.",
        )


_WORDS = (  # what RAUC and OpenSSL say, and what it means; the first that fits counts
    ("certificate has expired", "The certificate that it was signed with had expired by then."),
    ("certificate is not yet valid", "The certificate that it was signed with was not valid yet then."),
    ("unsuitable certificate purpose", "The certificate that it was signed with is not made for firmware."),
    ("certificate", "It is signed with a key that this device does not trust."),
    ("signature verification failed", "Its signature is wrong: it is damaged, or somebody has changed it."),
    ("format 'plain' not allowed", "It has the format plain; only verity is taken."),
    ("not enough space", "There is not enough space."),
)
_NO_SIGNATURE = ("signature size", "payload size", "too small", "signature from bundle", "cms", "asn1")


def in_words(reason: str, head: bytes) -> Refusal:
    """Why RAUC refused a bundle, in plain words; `head` is how the file begins."""
    lower = reason.lower()
    words = next((words for sign, words in _WORDS if sign in lower), "")
    if not head:
        return Refusal("The file is empty.", remedy="Fetch it again.")
    if not head.startswith(_SQUASHFS_MAGIC):
        return Refusal("This is not a firmware bundle.", remedy=f"Firmware bundles end in {SUFFIX}.")
    if words:
        return Refusal(f"The firmware is refused. {words}", remedy="Get it from the maker of this device.")
    if any(sign in lower for sign in _NO_SIGNATURE):
        return Refusal(
            "The firmware is refused: it has no signature, or it is incomplete.", remedy="Fetch it again."
        )
    return Refusal(f"The firmware is refused: {reason.rstrip('.')}.", remedy="Fetch it again.")


def installing_failed(error: AllegroError) -> AllegroError:
    """Why an installation broke off, in plain words; the running system is as it was."""
    lower = error.message.lower()
    if any(sign in lower for sign in ("input/output error", "payload", "verity")):
        message = "The firmware file is damaged."
    elif "no space left" in lower:
        message = "There is not enough space."
    else:
        message = error.message.rstrip(".") + "."
    return Conflict(
        f"The firmware could not be installed: {message}", remedy="The running version goes on; try again."
    )
