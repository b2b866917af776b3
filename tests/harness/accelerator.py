"""Which accelerator QEMU can really use here.

/dev/kvm may exist while guests hang on it (nested virtualisation), so KVM is used only after a guest has
shown its first kernel line on it. The answer is remembered per host.
"""

import hashlib
import json
import platform
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

QEMU = "qemu-system-x86_64"
_PROBE_SECONDS = 20.0
_TCG_PROCESSOR = "max,-avx,-avx2,-xsave,-smap,-smep,-pku,-la57,-erms"
"""Without what the device does not need and QEMU emulates by detours: programs run a quarter faster."""
_KERNEL_LINE = re.compile(rb"Linux version|Run /init|systemd\[1\]|Welcome to|\[ +\d+\.\d{6}\]")


@dataclass(frozen=True)
class Accelerator:
    """QEMU options for the processor, and why they were chosen."""

    name: str
    arguments: tuple[str, ...]
    reason: str


def _tcg(reason: str) -> Accelerator:
    return Accelerator("tcg", ("-accel", "tcg,thread=multi", "-cpu", _TCG_PROCESSOR), reason)


def _kvm(reason: str) -> Accelerator:
    return Accelerator("kvm", ("-accel", "kvm", "-cpu", "host"), reason)


def qemu_version() -> str:
    """First line of QEMU's version text; raises FileNotFoundError when QEMU is not installed."""
    text = subprocess.run([QEMU, "--version"], check=True, capture_output=True, text=True).stdout
    return text.splitlines()[0]


def _probe(image: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="allegro-kvm-") as directory:
        log = Path(directory) / "serial.log"
        process = subprocess.Popen(
            [
                *(QEMU, "-accel", "kvm", "-cpu", "host", "-machine", "q35", "-m", "512", "-nodefaults"),
                *("-display", "none", "-serial", f"file:{log}", "-snapshot"),
                *("-drive", f"file={image},format=raw,if=virtio"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + _PROBE_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                if log.exists() and _KERNEL_LINE.search(log.read_bytes()):
                    return True
                time.sleep(0.1)
            return False
        finally:
            process.kill()
            process.wait()


def choose(image: Path, cache: Path) -> Accelerator:
    """Return the accelerator to use for `image`; the KVM probe's answer is kept in the file `cache`."""
    try:
        with Path("/dev/kvm").open("r+b"):
            pass
    except OSError as error:
        return _tcg(f"no KVM on this machine ({error.strerror})")
    host = hashlib.sha256(f"{platform.node()} {platform.release()} {qemu_version()}".encode()).hexdigest()[
        :16
    ]
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    if not isinstance(known.get(host), bool):
        known = {**known, host: _probe(image)}
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(known))
    if known[host]:
        return _kvm("a guest has booted with KVM on this machine")
    return _tcg("KVM exists, but no guest starts on it here")
