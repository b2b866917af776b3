"""Puts the network into the wanted state: names of ports, files for networkd, details in the kernel."""

import json
import logging
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from allegro.errors import Unavailable
from allegro.keeping import KeptFile, Value, trouble
from allegro.network import ethtool, kernel, links, management, networkd_files, ports, redirect
from allegro.network.ports import NetworkDevice
from allegro.network.temporary_address import Claim
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
    """Gives every port its name, keeps that in `kept_in` (JSON: key by `ports.keys` → name).

    Measuring ports are prepared for that.

    `running`: ports that have a name keep it (a device was plugged in). What fails is logged; the result is
    what is true then. Raises OSError if the list of devices cannot be read.
    """
    devices = ports.read_devices(sysfs)
    known = known_names(kept_in)
    if not running and (wrong := trouble(kept_names(kept_in).read())):
        log.error("The list of the names of the ports %s", wrong)
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
        next((one.mac for one in devices if one.name == ports.FIRST_MANAGEMENT), ""),
    )
    if steps or not running:
        _prepare_measuring(result.measuring)
    return result


def reassign(kept_in: Path, changes: Mapping[str, str], *, sysfs: Path = kernel.SYSFS) -> None:
    """Gives ports other names (present → wanted), now and for later starts.

    Raises InvalidInput that names the wrong one, Unavailable if a name cannot be given, OSError.
    """
    devices = ports.read_devices(sysfs)
    steps = ports.rename_steps(ports.reassigned(devices, changes))
    complaint = kernel.rename(steps)
    complaint = _remember(kept_in, ports.read_devices(sysfs), known_names(kept_in)) or complaint
    if complaint:
        raise Unavailable(
            f"Not every port could be given its name ({complaint}).", remedy="Restart the device."
        )
    if steps:
        log.info("Ports: %s", ", ".join(f"{old} is {new} now" for old, new in changes.items()))
        _prepare_measuring(ports.measuring(changes.values()))


def restore_names(kept_in: Path, names: Mapping[str, str], *, sysfs: Path = kernel.SYSFS) -> None:
    """Puts back names (key → name) as `known_names` had told them. Raises as `reassign` does."""
    keep_names(kept_in, names)
    devices = ports.read_devices(sysfs)
    by_name = ports.keys(devices)
    wanted = {name: names.get(key, name) for name, key in by_name.items()}
    complaint = kernel.rename(ports.rename_steps(wanted))
    if complaint:
        raise Unavailable(
            f"Not every port could be given its name ({complaint}).", remedy="Restart the device."
        )
    _prepare_measuring(ports.measuring(wanted.values()))


def write_files(
    settings: Settings,
    interfaces: Interfaces,
    directory: Path = networkd_files.DIRECTORY,
    temporary: Claim | None = None,
) -> bool:
    """Writes the files for systemd-networkd; says whether any changed. Raises OSError."""
    wanted = links.plan(settings.links, interfaces.measuring)
    return networkd_files.write(
        links.network_files(wanted, kernel.largest_mtu(interfaces.measuring))
        | management.network_files(settings, list(interfaces.management), temporary),
        directory,
    )


def wire_links(settings: Settings, interfaces: Interfaces) -> None:
    """Makes the pairs that are links wires, see `redirect`; nothing stays at other ports.

    What fails is logged: without it the bridge of the link forwards.
    """
    wanted = links.plan(settings.links, interfaces.measuring)
    complaint = redirect.carry(wanted, [*interfaces.measuring, *interfaces.management])
    if complaint:
        log.warning("Not every link could be made a wire: %s", complaint)


def refresh(
    settings: Settings,
    kept_in: Path,
    temporary: Claim | None = None,
    *,
    directory: Path = networkd_files.DIRECTORY,
) -> Interfaces:
    """Brings a running device up to date: after settings changed, or a port was plugged in or out.

    Raises OSError in the system's words.
    """
    interfaces = name_ports(kept_in, running=True)
    wire_links(settings, interfaces)
    before = networkd_files.bridges(directory)
    if write_files(settings, interfaces, directory, temporary):
        # In this order: a port whose bridge is gone would be put into it again, in vain.
        _reload_networkd()
        gone = before - networkd_files.bridges(directory)
        complaint = kernel.delete_links(sorted(gone))
        if complaint:
            log.warning("Bridges: %s", complaint)
    kernel.switch_off_ipv6([*interfaces.measuring, *networkd_files.bridges(directory)])
    changed = kernel.pass_group_frames(interfaces.measuring)
    if changed:
        log.info("%s: frames to all group addresses are passed on", ", ".join(changed))
    return interfaces


def _prepare_measuring(names: Iterable[str]) -> None:
    for name in names:
        try:
            kernel.switch_off_ipv6([name])
        except OSError as error:
            log.warning("%s: IPv6 could not be switched off: %s", name, error.strerror)
        changed, complaints = ethtool.prepare(name)
        if changed:
            log.info("%s: %s", name, ", ".join(changed))
        if complaints:
            log.warning("%s: could not be prepared for measuring: %s", name, ", ".join(complaints))


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


def kept_names(kept_in: Path) -> KeptFile[dict[str, str]]:
    """The file of the names."""
    return KeptFile(kept_in, _parsed, mode=0o644)


def keep_names(kept_in: Path, names: Mapping[str, str]) -> None:
    """For the next `name_ports`. Raises OSError."""
    kept_names(kept_in).write(_as_json(names))


def known_names(path: Path) -> dict[str, str]:
    """What `name_ports` keeps: key → name, also of ports that are absent."""
    found = kept_names(path).read()
    return found.value if isinstance(found, Value) else {}


def _remember(path: Path, devices: list[NetworkDevice], known: Mapping[str, str]) -> str:
    """Empty, or why they could not be kept."""
    wanted = ports.remembered(devices, known)
    if wanted == known:
        return ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        keep_names(path, wanted)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _as_json(names: Mapping[str, str]) -> bytes:
    return json.dumps(names, indent=2, sort_keys=True).encode() + b"\n"


def _parsed(content: bytes) -> dict[str, str]:
    return {str(key): name for key, name in json.loads(content).items() if isinstance(name, str)}
