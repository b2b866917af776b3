"""Update bundles for tests: the image as another version, with faults, and bundles that must be refused.

Made with the code and the keys of `make bundle`; kept in build/test-bundles until the image changes.
"""

import contextlib
import datetime
import hashlib
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from allegro.version import release_fields
from board.allegro.image import bundle, root
from board.allegro.image.boot import environment_block
from board.allegro.image.signing_keys import Keys, find_keys, make_certificate, write_key
from board.allegro.image.workshop import Workshop, remove
from scripts.build_vm import project_fact, source_epoch
from scripts.catalogue import signature
from tests.harness import image_under_test
from tests.harness.before_start import LAYOUT, squashfs_length
from tests.harness.bench_errors import BenchError
from tests.harness.qemu import IMAGE, REPOSITORY

WORK = REPOSITORY / "build" / "vm" / "work"
"""Where `make vm` keeps its tools, which serve for every image."""

SMALL = 1 << 20
"""Bytes of what a small bundle holds."""

CONFIRM_LIMIT_S = 45
"""In versions that never work: how long they may try, so that the tests need not wait five minutes."""

# A kernel that has crashed and does not start again by itself: all processors stand still.
_HANG = """\
[Unit]
Description=A fault: the system hangs
[Service]
ExecStart=/usr/bin/sh -c 'sleep 5; echo 0 >/proc/sys/kernel/panic; echo 1 >/proc/sys/kernel/sysrq; \\
 echo c >/proc/sysrq-trigger'
[Install]
WantedBy=multi-user.target
"""


def _unchanged(_: Path) -> None:
    pass


def _panics(tree: Path) -> None:
    """The first program ends at once, and the kernel panics."""
    program = tree / "usr/lib/systemd/systemd"
    program.unlink()
    shutil.copy(tree / "usr/bin/false", program)


def _never_healthy(tree: Path) -> None:
    """The supervisor starts, but never answers."""
    units = tree / "usr/lib/systemd/system"
    program = "python3 -I -X faulthandler -m allegro.supervisor"
    _replace(units / "allegro-supervisor.service", program, "sleep infinity")
    limited = f"supervisor.confirm --limit {CONFIRM_LIMIT_S}"
    _replace(units / "allegro-confirm.service", "supervisor.confirm", limited)


def _hangs(tree: Path) -> None:
    """Shortly after the start nothing runs any more."""
    units = tree / "usr/lib/systemd/system"
    (units / "fault.service").write_text(_HANG)
    (tree / "etc/systemd/system/multi-user.target.wants/fault.service").symlink_to(units / "fault.service")


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if old not in text:
        raise BenchError(f"{path.name} does not hold {old!r} any more: the fault cannot be put in")
    path.write_text(text.replace(old, new))


def kernel_option(version: str) -> str:
    """What the kernel of a made version gets on its command line."""
    return f"allegro.bench={version}"


FAULTS: dict[str, Callable[[Path], None]] = {
    "none": _unchanged,
    "panic": _panics,
    "damaged": _unchanged,  # afterwards, in the squashfs itself
    "unhealthy": _never_healthy,
    "hang": _hangs,
}


class BundleMaker:
    """Makes bundles and keeps them."""

    def __init__(self, folder: Path = REPOSITORY / "build" / "test-bundles") -> None:
        """Versions are made from what lies in slot A of the image under test, with the tools of `make vm`.

        Raises BenchError if there are none.
        """
        self._shop = Workshop(folder, REPOSITORY / "build" / "downloads", REPOSITORY, source_epoch())
        self.keys = find_keys(REPOSITORY / "build" / "keys")
        self._tools = _step("tools")
        self._slot = self._shipped_slot()
        self._compatible = project_fact("COMPATIBLE")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Tests that run side by side make one bundle after the other."""
        self._shop.open()
        try:
            yield
        finally:
            self._shop.close()

    def _shipped_slot(self) -> Path:
        with IMAGE.open("rb") as disk:
            disk.seek(LAYOUT["slot-a"].start)
            length = squashfs_length(disk.read(96))
            disk.seek(LAYOUT["slot-a"].start)
            content = disk.read(length)

        def make(target: Path) -> None:
            target.write_bytes(content)

        with self._alone():
            return self._shop.step("slot", [hashlib.sha256(content).hexdigest()], make)

    def shipped(self) -> Path:
        """Return the bundle of the image as it is."""
        version = image_under_test.VERSION
        here: list[str | Path] = [self._slot.name, version, Path(__file__), self.keys.certificate]
        return self._made(
            f"shipped-{version}", here, lambda target: self._bundle(self._slot, version, target)
        )

    def version(self, version: str, fault: str = "none") -> Path:
        """Return the bundle of the image as another version, with a fault."""
        here: list[str | Path] = [self._slot.name, version, Path(__file__), self.keys.certificate]

        def make(target: Path) -> None:
            tree = self._shop.work / "tree"
            slot = self._shop.work / "slot.img"
            image = self._shop.work / "variant.img"
            for old in (tree, slot, image):
                remove(old)
            slot.hardlink_to(self._slot)
            unpack = ["unsquashfs", "-q", "-n", "-d", self._shop.inside(tree), self._shop.inside(slot)]
            self._shop.run_inside(self._tools, unpack, log="unsquashfs")
            base = release_fields(tree)["BASE"]
            root.write_release(tree, version, self._shop.epoch, base)
            (tree / "boot/version.env").write_bytes(environment_block(version=version))
            kernel = tree / "boot/kernel.env"
            options = kernel.read_text().partition("options=")[2].partition("\n")[0]
            kernel.write_bytes(environment_block(options=f"{options} {kernel_option(version)}"))
            FAULTS[fault](tree)
            root.squash(self._shop, self._tools, tree, image)
            if fault == "damaged":
                _damage(image)
            self._bundle(image, version, target)
            for old in (tree, slot, image):
                remove(old)

        return self._made(f"{fault}-{version}", here, make)

    def small(self, version: str = "99.0.0") -> Path:
        """Return a proper bundle that holds no system: only for being looked at."""

        def make(target: Path) -> None:
            image = self._shop.work / "small.img"
            image.write_bytes(random.Random(version).randbytes(SMALL))
            self._bundle(image, version, target)
            image.unlink()

        here: list[str | Path] = [version, Path(__file__), self.keys.certificate]
        return self._made(f"small-{version}", here, make)

    def bad(self, folder: Path, slot_size: int) -> dict[str, tuple[Path, str]]:
        """Return bundles that must be refused: name, file and a part of the reason."""
        good = self.small()
        content = good.read_bytes()
        keys = self.keys
        made: dict[str, tuple[Path, str]] = {}

        def written(name: str, what: bytes, reason: str) -> None:
            path = folder / f"{name}.raucb"
            path.write_bytes(what)
            made[name] = (path, reason)

        def signed(name: str, reason: str, **how: Any) -> None:
            path = folder / f"{name}.raucb"
            made[name] = (resigned(good, path, how.pop("keys", keys), **how), reason)

        def replacing(old: str, new: str) -> Callable[[str], str]:
            return lambda text: text.replace(old, new)

        length = int.from_bytes(content[-8:], "big")
        written("unsigned", content[: -8 - length], "no signature, or it is incomplete")
        signed("foreign", "does not trust", keys=strange_keys(folder / "strange"))
        expired = _issued_by_authority(folder / "expired", keys.keyring.parent, first_day=-100)
        signed("expired", "expired", keys=expired)
        signed("before-authority", "not valid yet then", keys=expired, day=-50)
        written("truncated", content[: len(content) * 2 // 3], "incomplete")
        for share in (25, 50, 75):
            damaged = bytearray(content)
            damaged[len(content) * share // 100] ^= 0x01
            written(f"flipped{share}", bytes(damaged), "damaged")
        changed = bytearray(content)
        changed[content.rindex(b"compatible=") + 11] ^= 0x01
        written("forged", bytes(changed), "Its signature is wrong")
        signed("other-device", "another device", change=replacing("compatible=allegro", "compatible=toaster"))
        signed("plain", "plain", detached=True)
        signed("large", "too large", change=replacing(f"size={SMALL}", f"size={slot_size + 4096}"))
        written("empty", b"", "empty")
        written("no-bundle", b"This is an e-mail, and no firmware.\n" * 1000, "not a firmware bundle")
        return made

    def signed_later(self, path: Path) -> Path:
        """Return a proper bundle that is signed, by the clock here, in the future."""
        keys = _issued_by_authority(path.with_suffix(".keys"), self.keys.keyring.parent, first_day=100)
        return resigned(self.small(), path, keys, day=150)

    def _bundle(self, image: Path, version: str, target: Path) -> None:
        notes = f"Version {version}, made by a test.\nNothing is new."
        bundle.make_bundle(
            self._shop, self._tools, image, self.keys, self._compatible, version, notes, target
        )

    def _made(self, name: str, here: list[str | Path], make: Callable[[Path], None]) -> Path:
        """Make the bundle if it is not there yet, and return it under its name."""
        with self._alone():
            made = self._shop.step(f"bundle-{name}", here, make)
            path = self._shop.folder / f"{name}.raucb"
            if not (path.exists() and path.samefile(made)):
                remove(path)
                path.hardlink_to(made)
        return path


def tools() -> Path:
    """Return the folder of the tools that make the image, RAUC among them."""
    return _step("tools")


def _step(name: str) -> Path:
    found = sorted(WORK.glob(f"{name}-" + "[0-9a-f]" * 16))
    if len(found) != 1:
        raise BenchError(f"there is no {name} of an image in {WORK}: make vm")
    return found[0]


def _damage(image: Path) -> None:
    """Overwrite the middle of a squashfs, behind kernel and initramfs."""
    size = image.stat().st_size
    with image.open("r+b") as file:
        for at in range(size // 3, size * 2 // 3, 1 << 20):
            file.seek(at)
            file.write(random.Random(at).randbytes(64 << 10))


# -- bundles that must be refused, made from a good one


def resigned(
    good: Path,
    target: Path,
    keys: Keys,
    change: Callable[[str], str] = lambda text: text,
    *,
    detached: bool = False,
    day: int = 0,
) -> Path:
    """Write the bundle with its manifest changed and signed with other keys, so many days from now.

    `detached`: as the format plain is, the signature is over the payload, and has no manifest inside.
    """
    content = good.read_bytes()
    old = signature(good)
    payload = content[: -8 - len(old)]
    command = ["openssl", "cms", "-verify", "-noverify", "-inform", "DER", "-binary"]
    manifest = subprocess.run(command, input=old, capture_output=True, check=True).stdout.decode()
    command = ["faketime", "-f", f"{day:+}d"] if day else []
    command += ["openssl", "cms", "-sign", "-binary", "-outform", "DER"]
    command += ["-signer", str(keys.certificate), "-inkey", str(keys.key)]
    signed = subprocess.run(
        [*command, *([] if detached else ["-nodetach"])],
        input=payload if detached else change(manifest).encode(),
        capture_output=True,
        check=True,
    ).stdout
    target.write_bytes(payload + signed + len(signed).to_bytes(8, "big"))
    return target


def strange_keys(folder: Path) -> Keys:
    """Return the keys of somebody else's authority."""
    return _issued(folder, make_certificate("Strange authority"), first_day=-100, days=3650)


def _issued_by_authority(folder: Path, authority: Path, *, first_day: int) -> Keys:
    """Return keys that the development authority in `authority` vouches for, for 90 days from then on."""
    key = serialization.load_pem_private_key((authority / "authority.key").read_bytes(), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise BenchError(f"{authority} holds another kind of key than expected")
    certificate = x509.load_pem_x509_certificate((authority / "keyring.pem").read_bytes())
    return _issued(folder, (key, certificate), first_day=first_day, days=90)


def _issued(
    folder: Path, issuer: tuple[EllipticCurvePrivateKey, x509.Certificate], *, first_day: int, days: int
) -> Keys:
    folder.mkdir(parents=True)
    start = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=first_day)
    key, certificate = make_certificate("Signing", issuer=issuer, valid_from=start, valid_days=days)
    made = Keys(folder / "none", folder / "signing.pem", folder / "signing.key")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    write_key(made.key, key)
    return made
