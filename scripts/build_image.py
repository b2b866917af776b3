"""Make the firmware with Buildroot: `make image`, and what belongs to it (configuration, licences, SBOM).

The environment can name: BUILDROOT_DIR or BUILDROOT_URL (where Buildroot comes from), BUILDROOT_OUTPUT
(folder of the build, default build/image/out), BUILDROOT_OPTIONS (further words for Buildroot's make, such as
BR2_DL_DIR=...), BUILDROOT_FRAGMENT (a file of configuration lines that count over the defconfig).
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cyclonedx.schema._res import SPDX_JSON

from board.allegro.image import bundle, edition, payload
from board.allegro.image.buildroot_source import RELEASE, find_buildroot
from board.allegro.image.host_tools import HostTools
from board.allegro.image.kconfig import dropped, read_config
from board.allegro.image.notes import release_notes
from board.allegro.image.signing_keys import Keys, find_keys, for_development
from board.allegro.image.workshop import (
    BuildError,
    Workshop,
    exit_code,
    fingerprint,
    remove,
    without_this_python,
)
from scripts import web_assets
from scripts.build_vm import KERNEL_OPTIONS, REPOSITORY, bundle_name, make_web, project_fact, source_epoch

FOLDER = REPOSITORY / "build/image"
PREPARED = FOLDER / "prepared"
DEFCONFIG = REPOSITORY / "configs/allegro_x86_64_defconfig"
HEADING = re.compile(r"(?:\x1b\[\d*m)?>>> (.*?)(?:\x1b\[\d*m)?$")


@dataclass(frozen=True)
class Buildroot:
    """Buildroot's source, the output folder, how its make is called; whether the image is for development."""

    shop: Workshop
    source: Path
    output: Path
    options: tuple[str, ...]
    development: bool

    def command(self, *words: str) -> list[str]:
        """Return the command for Buildroot's make with these targets and variables."""
        downloads = os.environ.get("BR2_DL_DIR") or str(self.shop.downloads / "buildroot")
        return [
            *("make", "-C", str(self.source), f"O={self.output}", f"BR2_EXTERNAL={REPOSITORY}"),
            *(f"BR2_DL_DIR={downloads}", *self.options, *words),  # the last word for a variable counts
        ]

    def environment(self) -> dict[str, str]:
        """Return the environment of a build: the time of all files, and where the prepared files lie."""
        given = without_this_python(os.environ)
        given |= {"SOURCE_DATE_EPOCH": str(self.shop.epoch), "ALLEGRO_PREPARED": str(PREPARED)}
        given["ALLEGRO_DEVELOPMENT"] = "1" if self.development else "0"
        given["PYTHONDONTWRITEBYTECODE"] = "1"  # a folder named by BUILDROOT_DIR stays as it is
        for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
            given.pop(name, None)
        # Some packages refuse to be configured by root.
        return given | {"FORCE_UNSAFE_CONFIGURE": "1"} if os.geteuid() == 0 else given

    def make(self, *words: str) -> None:
        """Run make, its headings as progress, the rest into a log; raises BuildError with the last lines."""
        log = self.shop.logs / "buildroot.log"
        lines: list[str] = []
        with (
            subprocess.Popen(
                self.command(*words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=self.environment(),
            ) as process,
            log.open("a") as out,
        ):
            for line in process.stdout or ():
                out.write(line)
                lines = [*lines[-40:], line.rstrip()]
                if heading := HEADING.match(line.rstrip()):
                    self.shop.say(f"    {heading[1]}")
        if process.returncode:
            raise BuildError(explain(lines, log))

    def ask(self, *words: str) -> str:
        """Return what make prints; raises BuildError."""
        command = self.command("-s", "--no-print-directory", *words)
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise BuildError(explain((done.stdout + done.stderr).splitlines()[-40:], None))
        return done.stdout


def explain(lines: list[str], log: Path | None) -> str:
    """Return why Buildroot's make failed, as its last lines tell, and what may help."""
    text = "\n".join(f"    {line}" for line in lines[-15:])
    text = f"Buildroot stopped:\n{text}" + (f"\nThe whole output: {log}" if log else "")
    for line in lines:
        if match := re.search(r"/build/([^/ ]+)/\.stamp_downloaded\b.*Error", line):
            return (
                f"The source of {match[1]} could not be downloaded, neither from its project's site nor from"
                f" Buildroot's backup site.\n{text}\nRemedy: network or proxy; or a folder with the sources,"
                " or a mirror of them:\n"
                '    BUILDROOT_OPTIONS="BR2_DL_DIR=<folder>" make image\n'
                '    BUILDROOT_OPTIONS="BR2_PRIMARY_SITE=<address>" make image'
            )
    return text


def main() -> None:
    """Do what the command line asks for. Raises BuildError."""
    parser = argparse.ArgumentParser(prog="build_image", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", nargs="?", default="image", choices=list(ACTIONS))
    what = parser.parse_args().what
    shop = Workshop(FOLDER, REPOSITORY / "build/downloads", REPOSITORY, source_epoch())
    shop.open()
    source = find_buildroot(FOLDER / "buildroot")
    output = Path(os.environ.get("BUILDROOT_OUTPUT") or FOLDER / "out").resolve()
    options = tuple(shlex.split(os.environ.get("BUILDROOT_OPTIONS", "")))
    development = for_development() if what in WITH_KEYS else True
    ACTIONS[what](Buildroot(shop, source, output, options, development))


def asked_configuration() -> str:
    """Return the defconfig, with the lines of BUILDROOT_FRAGMENT after it."""
    text = DEFCONFIG.read_text()
    if not (named := os.environ.get("BUILDROOT_FRAGMENT")):
        return text
    try:
        extra = read_config(Path(named).read_text())
    except OSError as error:
        raise BuildError(f"BUILDROOT_FRAGMENT={named} cannot be read: {error.strerror}.") from error
    kept = [line for line in text.splitlines() if not read_config(line).keys() & extra.keys()]
    return "\n".join([*kept, Path(named).read_text()])


def configure(buildroot: Buildroot) -> None:
    """Configure the output folder, unless that was done with the same lines; fail if one was dropped."""
    asked = asked_configuration()
    stamp = buildroot.output / ".allegro-asked"
    config = buildroot.output / ".config"
    if config.exists() and stamp.exists() and stamp.read_text() == asked:
        buildroot.shop.say("configuration: unchanged")
        return
    buildroot.shop.say("configuration ...")
    buildroot.output.mkdir(parents=True, exist_ok=True)
    file = buildroot.output / "allegro_defconfig"
    file.write_text(asked)
    buildroot.make(f"BR2_DEFCONFIG={file}", "defconfig")
    if missing := dropped(read_config(asked), read_config(config.read_text())):
        raise BuildError(
            f"Buildroot {RELEASE} drops {len(missing)} asked-for symbols:\n  "
            + "\n  ".join(missing)
            + f"\nRemedy: correct them in {DEFCONFIG.relative_to(REPOSITORY)}"
            " (another name in this release, or something that they depend on is missing)."
        )
    stamp.write_text(asked)


def prepare(buildroot: Buildroot) -> tuple[str, Keys]:
    """Get what the image needs from outside of Buildroot; returns a fingerprint of it, and the keys."""
    configure(buildroot)
    shop = buildroot.shop
    python = buildroot.ask("printvars", "VARS=PYTHON3_VERSION_MAJOR").strip().partition("=")[2]
    requirements = REPOSITORY / "requirements/payload.txt"
    wheels = shop.step(
        "wheels",
        [requirements, python, *payload.PLATFORMS],
        lambda target: payload.fetch_wheels(shop, requirements, target, python),
    )
    web = shop.step(
        "web",
        web_assets.SOURCES,
        make_web,
    )
    try:
        keys = find_keys(REPOSITORY / "build/keys")
        remove(PREPARED)
        shutil.copytree(wheels, PREPARED / "wheels")
        shutil.copytree(web, PREPARED / "web")
        shutil.copy(keys.keyring, PREPARED / "keyring.pem")
    except PermissionError as error:
        raise BuildError(
            f"{error.filename} belongs to another user.\n"
            "Remedy: make image as the user who made it, or set the keys' variables (docs/building.md)."
        ) from error
    inputs = [*(REPOSITORY / name for name in payload.OWN_SOURCES), REPOSITORY / "board/allegro/image"]
    return fingerprint([wheels.name, web.name, *inputs]), keys


def make_image(buildroot: Buildroot) -> None:
    """Build; then image, bundle and manifest lie in build/image."""
    print_, keys = prepare(buildroot)
    shop, output = buildroot.shop, buildroot.output
    stamp = output / ".allegro-payload"
    if not stamp.exists() or stamp.read_text() != print_:
        # Buildroot itself does not notice that a package's source in this repository has changed.
        buildroot.make("allegro-dirclean")
        stamp.write_text(print_)
    shop.say(f"Buildroot {RELEASE}: the first time takes an hour or more; log: {shop.logs / 'buildroot.log'}")
    buildroot.make()
    compatible = project_fact("COMPATIBLE")
    version = edition.to_hand_out(
        project_fact("VERSION"), KERNEL_OPTIONS, for_development=buildroot.development
    ).version
    notes = release_notes((REPOSITORY / "CHANGELOG.md").read_text(), version)
    tools = HostTools(output / "build/allegro-image", shop.downloads, REPOSITORY, shop.epoch)
    tools.open()
    shop.say("bundle ...")
    signed = tools.work / "signed.raucb"
    remove(signed)
    slot = output / "images/rootfs.squashfs"
    bundle.make_bundle(tools, output / "host", slot, keys, compatible, version, notes, signed)
    results = {
        "allegro.img": output / "images/allegro.img",
        "manifest.txt": output / "images/manifest.txt",
        bundle_name(version): signed,
    }
    for name, file in results.items():
        remove(FOLDER / name)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", file, FOLDER / name], check=True)
    head = (FOLDER / "manifest.txt").read_text().split("\n\nBuildroot packages")[0]
    shop.say(f"ready: {', '.join(str(FOLDER / name) for name in results)}\n\n{head}\n")


def menuconfig(buildroot: Buildroot) -> None:
    """Let the user change the configuration, and tell what to take over into the defconfig."""
    configure(buildroot)
    command = buildroot.command("menuconfig")
    if subprocess.run(command, check=False, env=buildroot.environment()).returncode:
        raise BuildError("menuconfig failed: see above. It needs a terminal and ncurses' development files.")
    saved = buildroot.output / "saved_defconfig"
    buildroot.make(f"BR2_DEFCONFIG={saved}", "savedefconfig")
    asked, now = read_config(asked_configuration()), read_config(saved.read_text())
    lost = dropped(asked, read_config((buildroot.output / ".config").read_text()))
    new = [f"{name}={value}" for name, value in now.items() if name not in asked and name != "BR2_DEFCONFIG"]
    print(
        "\nThe output folder has the new configuration; `make image` builds it until the defconfig changes.\n"
        f"To keep it, take over into {DEFCONFIG.relative_to(REPOSITORY)}:"
    )
    for line in [
        *(f"  add or change: {line}" for line in new),
        *(f"  no longer holds: {line}" for line in lost),
    ]:
        print(line)
    if not new and not lost:
        print("  nothing: it is the same.")


def legal(buildroot: Buildroot) -> None:
    """Collect licences and sources of all packages: Buildroot's legal-info."""
    prepare(buildroot)
    buildroot.make("legal-info")
    buildroot.shop.say(f"ready: {buildroot.output / 'legal-info'} (README, manifest.csv, licenses, sources)")


def sbom(buildroot: Buildroot) -> None:
    """Write the software bill of materials, build/image/sbom.cdx.json, by Buildroot's generator."""
    configure(buildroot)
    information = buildroot.ask("show-info")
    downloads = buildroot.ask("printvars", "VARS=DL_DIR").strip().partition("=")[2]
    # The generator would fetch the list of licences; the CycloneDX project's library brings the same file.
    licences = Path(downloads) / "cyclonedx/spdx-1.6.schema.json"
    if not licences.exists():
        licences.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SPDX_JSON, licences)
    done = subprocess.run(
        [sys.executable, str(buildroot.source / "utils/generate-cyclonedx")],
        input=information,
        capture_output=True,
        text=True,
        check=False,
        env=buildroot.environment() | {"BR2_DL_DIR": downloads},
    )
    if done.returncode:
        raise BuildError(f"Buildroot's utils/generate-cyclonedx failed:\n{done.stderr}")
    (FOLDER / "sbom.cdx.json").write_text(done.stdout)
    buildroot.shop.say(f"ready: {FOLDER / 'sbom.cdx.json'}")


def cves(buildroot: Buildroot) -> None:
    """Write build/image/cves.cdx.json: the SBOM with known vulnerabilities, by Buildroot's cve-check."""
    sbom(buildroot)
    database = os.environ.get("NVD_DIR") or str(FOLDER / "nvd")
    buildroot.shop.say(f"cve-check: the database of vulnerabilities (several GB) lies in {database}")
    command = [sys.executable, str(buildroot.source / "support/scripts/cve-check"), "--nvd-path", database]
    command += ["-i", str(FOLDER / "sbom.cdx.json"), "-o", str(FOLDER / "cves.cdx.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join(f"    {line}" for line in done.stderr.splitlines()[-3:])
        raise BuildError(
            f"Buildroot's support/scripts/cve-check failed:\n{tail}\n"
            "Remedy: it clones a mirror of the NVD from GitHub. Where that cannot be reached, NVD_DIR="
            "<folder> names a copy of it."
        )
    buildroot.shop.say(f"ready: {FOLDER / 'cves.cdx.json'}")


def check(buildroot: Buildroot) -> None:
    """Check the external tree with Buildroot's own tools, and that no asked-for symbol is dropped."""
    remove(buildroot.output / ".allegro-asked")
    configure(buildroot)
    names = ("Config.in", "external.*", "configs", "package", "board/allegro/buildroot")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={REPOSITORY}", "ls-files", *names],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    tools = {
        # it needs Debian's python3-magic, flake8 and shellcheck
        "check-package": [
            "/usr/bin/python3",
            str(buildroot.source / "utils/check-package"),
            "--br2-external",
        ],
        "check-symbols": [sys.executable, "-m", "scripts.buildroot_symbols", str(buildroot.source)],
    }
    for name, command in tools.items():
        done = subprocess.run(
            [*command, *listed], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BuildError(
                f"{name}:\n{done.stdout}{done.stderr}\nRemedy: correct the lines named; if a program is"
                " missing: scripts/install-host-packages image"
            )
        buildroot.shop.say(f"{name}: nothing found")


ACTIONS: dict[str, Callable[[Buildroot], None]] = {
    "image": make_image,
    "prepared": lambda buildroot: print(f"ready: {prepare(buildroot) and PREPARED}"),
    "menuconfig": menuconfig,
    "legal": legal,
    "sbom": sbom,
    "cves": cves,
    "check": check,
}

WITH_KEYS = ("image", "prepared")
"""Actions whose result trusts a keyring and leaves this machine."""


if __name__ == "__main__":
    sys.exit(exit_code(main))
