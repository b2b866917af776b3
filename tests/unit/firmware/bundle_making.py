"""Bundles as RAUC makes them, but for the signature, and an installer that takes them."""

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from allegro.errors import Unavailable
from allegro.firmware.authority import Authority
from allegro.firmware.device_around import Surroundings
from allegro.firmware.rauc import Refused
from allegro.firmware.releases import Release
from allegro.firmware.update import FirmwareService
from allegro.system.actions import Actions

COMPATIBLE = "allegro-x86_64"
SALT = bytes(range(32))
BLOCK = 4096
SLOTS = {"slot-a": Release("1.0.0", "2026-10-01", "First."), "slot-b": Release("1.1.0")}


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
    half_written: set[str] = field(default_factory=set)

    def unfinished(self, slot: str) -> bool:
        return slot in self.half_written

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


def two_slots(rauc: FakeRauc) -> Callable[[Path, Actions], FirmwareService]:
    """Makes the firmware updates of a device that runs SLOTS["slot-a"] and has no update server."""

    def no_server() -> Any:
        raise Unavailable("The update server cannot be used.")

    around = Surroundings(
        version="1.0.0",
        slot="slot-a",
        boot_id="run-1",
        authority=lambda: Authority(COMPATIBLE, Path("/none"), ""),
        installer=rauc,
        server=no_server,
        look=SLOTS.get,
        own_release=lambda: SLOTS["slot-a"],
        slot_size=lambda _slot: 5000,
        restart=lambda: rauc.calls.append("restart"),
    )
    return lambda folder, actions: FirmwareService(folder, around, actions)
