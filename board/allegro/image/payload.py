"""The payload: our own wheel and those of requirements/payload.txt, unpacked as the device finds them."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

from board.allegro.image.tree import compile_python
from board.allegro.image.workshop import BuildError, Workshop, copy_source, remove

SITE = "usr/lib/allegro/site"
"""Where the payload lies on the device; allegro.pth in Python's own folder leads there."""

WEB_FILES = "allegro/web/built"
"""Below SITE: files of others for the web page, and the manual (scripts/web_assets.py)."""

PYTHON = "3.13"
"""Version of the device's Python: Debian 13's."""

# Wheels for glibc as old as these or older run on the device (PEP 600); pip wants every one named.
PLATFORMS = (
    "manylinux_2_34_x86_64",
    "manylinux_2_28_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
)
OWN_SOURCES = ("pyproject.toml", "meta", "README.md", "LICENSE", "python")


def make_wheel(shop: Workshop, tools: Path, target: Path) -> None:
    """Build the project's own wheel, with its extension module, into the folder `target`."""
    source = target.with_name("wheel-source")
    remove(source)
    for name in OWN_SOURCES:
        copy_source(shop.repository / name, source / name)
    target.mkdir()
    script = (
        'cd "$1"; export CFLAGS="-ffile-prefix-map=$1=. -Wl,--build-id=none"; '
        'python3 -c "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])" "$2"'
    )
    shop.run_inside(
        tools, ["sh", "-euc", script, "sh", shop.inside(source), shop.inside(target)], log="wheel"
    )
    remove(source)


def fetch_wheels(shop: Workshop, requirements: Path, target: Path, python: str = PYTHON) -> None:
    """Let pip download the wheels of the requirements file, checked against its hashes, into the folder
    `target`; they are kept for the next time.

    `python` is the version of the device's Python, such as "3.13".
    """
    cache = shop.downloads / "wheels"
    cache.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
    options += [word for platform in PLATFORMS for word in ("--platform", platform)]
    shop.run(
        [
            *pip,
            *("--require-hashes", "--no-deps", *options),
            *("--find-links", cache, "--dest", target, "--requirement", requirements),
        ],
        log="wheels",
        remedy="Remedy: is the Python package index reachable from here (network, proxy)? Then start again.",
    )
    for file in target.iterdir():
        if not (cache / file.name).exists():
            partial = cache / f".{file.name}.partial"
            shutil.copy(file, partial)
            partial.rename(cache / file.name)


def unpack_wheel(wheel: Path, site: Path) -> None:
    """Unpack a wheel (PEP 427) into `site`: its packages and metadata; no scripts, headers or other data."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            parts = PurePosixPath(info.filename).parts
            if info.is_dir():
                continue
            if re.fullmatch(r".+\.data", parts[0]):
                if parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if ".." in parts or not parts:
                raise BuildError(f"{wheel.name} holds a file outside of its folder: {info.filename}")
            target = site.joinpath(*parts)
            if target.exists():
                raise BuildError(f"{wheel.name}: {'/'.join(parts)} is in another wheel already.")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(info))


def install(shop: Workshop, root: Path, wheels: list[Path], web: Path) -> None:
    """Install the wheels, and what the web page needs besides, into the root file system `root`; compile."""
    unpack(root, "usr/lib/python3/dist-packages", wheels, web)
    compile_python(shop, root, f"/{SITE}")


def unpack(root: Path, packages: str, wheels: list[Path], web: Path) -> None:
    """Unpack wheels and web files into `root`, whose Python has its own packages in the folder `packages`."""
    site = root / SITE
    remove(site)
    for wheel in sorted(wheels):
        unpack_wheel(wheel, site)
    copy_source(web, site / WEB_FILES)
    (root / packages / "allegro.pth").write_text(f"/{SITE}\n")
