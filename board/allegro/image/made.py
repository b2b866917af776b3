"""Files of the root file system that are made with the image, the same in both kinds of image."""

from __future__ import annotations

from board.allegro.image.bundle import system_configuration
from board.allegro.image.layout import Layout


def made_files(layout: Layout, compatible: str, keyring: str, notes: str) -> dict[str, str]:
    """Return path and text of: RAUC's configuration and keyring, release notes, growth of data."""
    return {
        "etc/rauc/system.conf": system_configuration(layout, compatible),
        "etc/rauc/keyring.pem": keyring,
        "usr/share/allegro/release-notes.md": notes,
        "usr/lib/repart.d/50-data.conf": growth_configuration(layout),
    }


def growth_configuration(layout: Layout) -> str:
    """Return what systemd-repart may do: let the data partition, the only one of its type, grow."""
    return f"[Partition]\nType={layout['data'].type}\n"
