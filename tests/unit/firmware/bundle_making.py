"""Bundles as RAUC makes them, but for the signature, and an installer that takes them."""

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from allegro.firmware.rauc import Refused

COMPATIBLE = "allegro-x86_64"
SALT = bytes(range(32))
BLOCK = 4096


def tree_of(payload: bytes) -> tuple[bytes, bytes]:
    """Root digest and hash tree, written another way than in the product: recursively."""

    def level(data: bytes) -> bytes:
        blocks = [data[at : at + BLOCK] for at in range(0, len(data), BLOCK)]
        found = b"".join(hashlib.sha256(SALT + block).digest() for block in blocks)
        return found + bytes(-len(found) % BLOCK)

    levels: list[bytes] = []
    data = payload
    while len(data) > BLOCK:
        data = level(data)
        levels.append(data)
    return hashlib.sha256(SALT + data).digest(), b"".join(reversed(levels))


def make_bundle(path: Path, version: str = "2.0.0", blocks: int = 300, **changes: Any) -> dict[str, Any]:
    """Writes a bundle and returns its manifest; it stands in the bundle instead of a signature."""
    payload = b"hsqs" + random.Random(version).randbytes(blocks * BLOCK - 4)
    root, tree = tree_of(payload)
    manifest: dict[str, Any] = {
        "update": {"compatible": COMPATIBLE, "version": version},
        "bundle": {
            "format": "verity",
            "verity-hash": root.hex(),
            "verity-salt": SALT.hex(),
            "verity-size": len(tree),
        },
        "images": [{"slot-class": "system", "size": 1000}],
        "meta": {"allegro": {"date": "2026-11-01", "notes": f"All about {version}."}},
    }
    for place, value in changes.items():
        section, _, name = place.partition("__")
        manifest[section] = {**manifest[section], name: value} if name else value
    signature = json.dumps(manifest).encode()
    path.write_bytes(payload + tree + signature + len(signature).to_bytes(8, "big"))
    return manifest


@dataclass
class FakeRauc:
    """Inspects what make_bundle made, installs by remembering, marks by remembering."""

    calls: list[str] = field(default_factory=list)
    refuse: str = ""
    fail: str = ""
    during_install: Callable[[], None] = lambda: None

    def inspect(self, bundle: str) -> dict[str, Any]:
        content = Path(bundle).read_bytes()
        if self.refuse:
            raise Refused(self.refuse)
        length = int.from_bytes(content[-8:], "big")
        if not content or length > len(content):
            raise Refused(f"Signature size ({length}) exceeds bundle size")
        manifest: dict[str, Any] = json.loads(content[-8 - length : -8])
        return manifest

    def install(self, bundle: str, progress: Callable[[float], None]) -> None:
        self.during_install()
        progress(0.5)
        self.calls.append(f"install {Path(bundle).name}")
        if self.fail:
            raise Refused(self.fail)
        progress(1.0)

    def mark(self, state: Literal["good", "bad", "active"], slot: str) -> None:
        self.calls.append(f"{state} {slot}")
