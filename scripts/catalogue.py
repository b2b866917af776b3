"""Write and sign the index of an update server: `make catalogue DIR=folder`.

The folder holds bundles (*.raucb) and is then served by any HTTPS server as it is. The index is signed with
the key that signs bundles, so that a device trusts it by the same certificate. For a bundle that devices
would refuse the command fails and names it.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from allegro.errors import AllegroError
from allegro.firmware import release_index
from allegro.firmware.bundles import META, SUFFIX
from allegro.firmware.release_index import Offer
from allegro.firmware.versions import Version
from board.allegro.image.signing_keys import Keys, find_keys
from board.allegro.image.workshop import BuildError

REPOSITORY = Path(__file__).resolve().parent.parent
_LARGEST_SIGNATURE = 1 << 16  # bytes; RAUC 1.13, src/bundle.c
_ESCAPES = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}  # GLib, Desktop Entry key files


def main() -> int:
    """Write the index; returns the exit code."""
    parser = argparse.ArgumentParser(prog="catalogue", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with bundles; the index is written into it")
    parser.add_argument("--keys", type=Path, default=REPOSITORY / "build/keys", help="development keys")
    options = parser.parse_args()
    try:
        versions = write_index(options.folder, find_keys(options.keys.resolve()))
    except (BuildError, AllegroError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    print(f"{options.folder / release_index.NAME}: {', '.join(versions) or 'no versions'}")
    return 0


def write_index(folder: Path, keys: Keys) -> list[str]:
    """Write the signed index of all bundles in `folder`; returns their versions, newest first.

    Raises BuildError for a folder that is none or bundles of several kinds, InvalidInput for a bad bundle.
    """
    if not folder.is_dir():
        raise BuildError(f"{folder} is no folder.")
    offers = []
    compatibles = set()
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        manifest = read_manifest(path, keys.keyring)
        compatibles.add(manifest["update"]["compatible"])
        offers.append(
            Offer(
                version=manifest["update"]["version"],
                file=path.name,
                size=path.stat().st_size,
                sha256=sha256(path),
                date=manifest.get(f"meta.{META}", "date", fallback=""),
                notes=unescaped(manifest.get(f"meta.{META}", "notes", fallback="")),
            )
        )
    if len(compatibles) > 1:
        raise BuildError(f"{folder} holds bundles for different devices: {', '.join(sorted(compatibles))}.")
    offers.sort(key=lambda offer: Version.parse(offer.version), reverse=True)
    content = {
        "format": release_index.FORMAT,
        "compatible": next(iter(compatibles), ""),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": [asdict(offer) for offer in offers],
    }
    signed = sign(json.dumps(content, indent=1, ensure_ascii=False).encode(), keys)
    partial = folder / f".{release_index.NAME}.partial"
    partial.write_bytes(signed)
    partial.rename(folder / release_index.NAME)
    return [offer.version for offer in offers]


def read_manifest(bundle: Path, keyring: Path) -> configparser.ConfigParser:
    """Return the manifest of a verity bundle, which stands in its signature, if the keyring trusts that."""
    content = release_index.verified(signature(bundle), keyring, "any", what=bundle.name)
    manifest = configparser.ConfigParser(interpolation=None)
    manifest.read_string(content.decode())
    if manifest.get("bundle", "format", fallback="") != "verity":
        raise BuildError(f"{bundle.name} is no bundle of the format verity.")
    return manifest


def signature(bundle: Path) -> bytes:
    """Return the signed manifest at the end of a bundle (RAUC 1.13, src/bundle.c). Raises BuildError."""
    with bundle.open("rb") as file:
        end = file.seek(0, 2) - 8
        file.seek(max(0, end))
        size = int.from_bytes(file.read(8), "big")
        if end < 0 or not 0 < size <= min(end, _LARGEST_SIGNATURE):
            raise BuildError(f"{bundle.name} is no bundle, or it is incomplete.")
        file.seek(end - size)
        return file.read(size)


def unescaped(text: str) -> str:
    """Return a text as GLib's key files mean it."""
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text)


def sha256(path: Path) -> str:
    """Return the hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sign(content: bytes, keys: Keys) -> bytes:
    """Return the content, signed (CMS, DER)."""
    command = ["openssl", "cms", "-sign", "-binary", "-nodetach", "-outform", "DER"]
    command += ["-signer", str(keys.certificate), "-inkey", str(keys.key)]
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    if done.returncode:
        raise BuildError(f"The index cannot be signed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
