"""For whom an image is made: for development, or to be shipped.

A development image is signed by the authority that the building machine made for itself, and takes systemd
credentials from the machine that it runs on (SMBIOS, fw_cfg), by which the tests look into it. A shipped one
trusts the release's authority, and takes nothing from the machine: whoever owns a virtual machine's host or a
BMC could else give it units to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from board.allegro.image.workshop import words

REFUSE_CREDENTIALS = "systemd.import_credentials=no"
"""Kernel option of systemd(1), kernel-command-line(7)."""

DEVELOPMENT = "+development"
"""Build metadata by Semantic Versioning 2.0.0, section 10: it does not count in comparisons."""


@dataclass(frozen=True)
class Edition:
    """What the image calls itself, the options that its kernel gets, and whom it is for."""

    version: str
    kernel_options: str
    shipped: bool


def shipped(version: str, options: Path) -> Edition:
    """Return the edition for customers; `options` is a list of the kernel's options."""
    return Edition(version, " ".join([*words(options), REFUSE_CREDENTIALS]), shipped=True)


def development(version: str, options: Path) -> Edition:
    """Return the edition for the bench, under the release's plain version: it never leaves the machine."""
    return Edition(version, " ".join(words(options)), shipped=False)


def to_hand_out(version: str, options: Path, *, for_development: bool) -> Edition:
    """Return the edition of what other machines will run; made for development, its version says so."""
    if for_development:
        return development(version + DEVELOPMENT, options)
    return shipped(version, options)
