"""Puts the network into the wanted state: names of ports, files for networkd, details in the kernel."""

import json
import logging
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from allegro.atomic import write_atomically
from allegro.network import files, kernel, links, management, ports
from allegro.network.ports import NetworkDevice
from allegro.settings.model import Settings

_NETWORKCTL_TIMEOUT_S = 30

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Interfaces:
    """The ports by their final names; `management_mac` belongs to the first management port, or is empty."""

    management: tuple[str, ...]
    measuring: tuple[str, ...]
    management_mac: str


def memory(state: Path) -> Path:
    """The file that `name_ports` keeps, in the directory `state`."""
    return state / "ports.json"


def name_ports(kept_in: Path, *, running: bool = False, sysfs: Path = kernel.SYSFS) -> Interfaces:
    """Gives every port its name, keeps that in `kept_in` (JSON: MAC address → name), prepares measuring.

    `running`: ports that have a name keep it (a device was plugged in). What fails is logged; the result is
    what is true then. Raises OSError if the list of devices cannot be read.
    """
    devices = ports.read_devices(sysfs)
    known = _known(kept_in)
    wanted = ports.assign(devices, known, running=running)
    steps = ports.rename_steps(wanted)
    if steps:
        log.info("Ports: %s", ", ".join(f"{old} is {new}" for old, new in wanted.items()))
        complaint = kernel.rename(steps)
        if complaint:
            log.error("Not every port could be given its name: %s", complaint)
        devices = ports.read_devices(sysfs)
    complaint = _remember(kept_in, devices, known)
    if complaint and (steps or not running):  # not once a second
        log.error("The names of the ports could not be kept: %s", complaint)
    names = [one.name for one in devices if one.kind != "wifi"]
    result = Interfaces(
        tuple(ports.management(names)),
        tuple(ports.measuring(names)),
        next((one.mac for one in devices if one.name == management.FIRST), ""),
    )
    if steps or not running:
        _prepare_measuring(result.measuring)
    return result


def write_files(settings: Settings, interfaces: Interfaces, directory: Path = files.DIRECTORY) -> bool:
    """Writes the files for systemd-networkd; says whether any changed. Raises OSError."""
    wanted = links.plan(settings.links.mode, interfaces.measuring)
    return files.write(
        links.network_files(wanted)
        | management.network_files(settings.management, list(interfaces.management)),
        directory,
    )


def refresh(settings: Settings, kept_in: Path, *, directory: Path = files.DIRECTORY) -> Interfaces:
    """Brings a running device up to date: after settings changed, or a port was plugged in or out.

    Cheap if nothing has changed, so that it can be called every second. Raises OSError in the system's words.
    """
    interfaces = name_ports(kept_in, running=True)
    before = files.bridges(directory)
    if write_files(settings, interfaces, directory):
        gone = before - files.bridges(directory)
        complaint = kernel.delete_links(sorted(gone))
        if complaint:
            log.warning("Bridges: %s", complaint)
        _reload_networkd()
    kernel.switch_off_ipv6([*interfaces.measuring, *files.bridges(directory)])
    changed = kernel.pass_group_frames(interfaces.measuring)
    if changed:
        log.info("%s: frames to all group addresses are passed on", ", ".join(changed))
    return interfaces


def _prepare_measuring(names: tuple[str, ...]) -> None:
    for name in names:
        try:
            kernel.switch_off_ipv6([name])
            kernel.keep_packets_whole(name)
        except OSError as error:
            log.warning("%s: could not be prepared for measuring: %s", name, error.strerror)


def _reload_networkd() -> None:
    try:
        done = subprocess.run(
            ["networkctl", "reload"], capture_output=True, text=True, timeout=_NETWORKCTL_TIMEOUT_S
        )
        complaint = done.stderr.strip() if done.returncode else ""
    except (OSError, subprocess.SubprocessError) as error:
        complaint = str(error)
    if complaint:
        log.error("The network service could not be told of changes: %s", complaint)


def _known(path: Path) -> dict[str, str]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("The names of the ports are not known any more (%s): assigned anew", error)
        return {}
    if not isinstance(value, dict):
        return {}
    return {mac: name for mac, name in value.items() if isinstance(name, str)}


def _remember(path: Path, devices: list[NetworkDevice], known: Mapping[str, str]) -> str:
    """Empty, or why they could not be kept."""
    wanted = ports.remembered(devices, known)
    if wanted == known:
        return ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(wanted, indent=2, sort_keys=True).encode() + b"\n", mode=0o644)
    except OSError as error:
        return error.strerror or str(error)
    return ""
