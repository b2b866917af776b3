"""Systems from Debian packages, by mmdebstrap: the one that makes images, and the one that goes into them."""

from __future__ import annotations

import os
from pathlib import Path

from board.allegro.image.workshop import BuildError, Workshop, remove, without_this_python, words

SUITE = "trixie"
COMPONENTS = "main,non-free-firmware"
"""The second one holds what devices are loaded with; of it only packages that are listed are taken."""

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

UNPACK_WITHOUT = (
    "/etc/kernel/postinst.d/*",  # they would make an initramfs, slowly; the image has its own
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
)

COPYRIGHTS = "/usr/share/doc/*/copyright"
"""The list of licences is made from these; they do not go into the image."""


def bootstrap(shop: Workshop, packages: Path, target: Path) -> None:
    """Install the packages of the list file `packages` and what they need into the new folder `target`."""
    if not KEYRING.exists():
        raise BuildError(
            f"{KEYRING} is missing, so Debian's packages cannot be checked.\n"
            "Remedy: scripts/install-host-packages installs it (package debian-archive-keyring)."
        )
    debs = shop.downloads / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    archives = '"$1/var/cache/apt/archives"'
    take = f"mkdir -p {archives}; find '{debs}' -name '*.deb' -exec cp -t {archives} {{}} +"
    give = f"mkdir -p '{debs}/new'; mv {archives}/*.deb '{debs}/new'; mv '{debs}/new'/* '{debs}'"
    try:
        shop.run(
            [
                "mmdebstrap",
                "--mode=root",
                "--format=directory",
                "--variant=essential",
                f"--components={COMPONENTS}",
                f"--keyring={KEYRING}",
                "--include=" + ",".join(words(packages)),
                *(f"--dpkgopt=path-exclude={pattern}" for pattern in UNPACK_WITHOUT),
                f"--dpkgopt=path-include={COPYRIGHTS}",
                "--skip=essential/unlink",
                # packages downloaded before are not downloaded again; apt checks them like new ones
                f"--setup-hook={take}",
                f"--customize-hook={give}",
                SUITE,
                target,
            ],
            log=target.name,
            remedy="Remedy: is the Debian archive reachable from here (network, proxy)? Then start again;"
            " what was downloaded is kept.",
            environment=without_this_python(os.environ),
        )
    except BuildError:
        remove(target)
        raise
