"""The WiFi adapter and its programs, by the means of the system: `iw`, `ip`, `wpa_cli`, systemd, files."""

import contextlib
import grp
import json
import logging
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface
from pathlib import Path

from allegro.atomic import write_atomically
from allegro.errors import Unavailable
from allegro.network import hostapd_control, kernel, networkd_files, wifi_adapters, wifi_scan
from allegro.network.ports import SYSFS
from allegro.network.wifi_adapters import NAME, Adapter, Capabilities
from allegro.network.wifi_scan import Connection, FoundNetwork, Station

ACCESS_POINT = "allegro-wifi-access-point.service"
DHCP = "allegro-wifi-dhcp.service"
CLIENT = "allegro-wifi-client.service"
UNITS = (ACCESS_POINT, DHCP, CLIENT)

CREDENTIALS = Path("/run/credentials")
"""Where systemd lays files for a unit (systemd.exec(5), LoadCredential=)."""

PASSWORDS = "passwords"
GROUP = "allegro-wifi"
"""Of the programs that serve the WiFi."""

NETWORK_PREFIX = "20-allegro-wifi-"
_TIMEOUT_S = 20.0
_SCAN_TIMEOUT_S = 25.0
"""All channels, one after the other; an adapter that is in use goes back to its network in between."""
_SCAN_LIMIT_S = 60.0
"""After which no other attempt is made. Now and then a scan never ends, with an access point mostly."""
_PAUSE_S = 1.0
_COUNTRY_S = 3.0
_EBUSY = "(-16)"  # as iw writes it: the adapter is scanning already
_TIMED_OUT = 124  # as timeout(1) says it

log = logging.getLogger(__name__)


class WifiSystem:
    """`run`: the folder of run-time files; in it `wifi` for orders, and the folders of the units."""

    def __init__(self, run: Path, networkd: Path = networkd_files.DIRECTORY, sysfs: Path = SYSFS) -> None:
        self._orders = run / "wifi"
        self._control = run / "wifi-client"
        self._access_point = run / "wifi-access-point"
        self._passwords = run / "wifi-passwords"
        self.lease_file = run / "wifi-dhcp" / "leases"
        self._networkd = networkd
        self._sysfs = sysfs

    @property
    def control(self) -> str:
        """Folder of wpa_supplicant's control socket."""
        return str(self._control)

    @property
    def access_point_control(self) -> str:
        """Folder of hostapd's control socket."""
        return str(self._access_point)

    @property
    def passwords_at_start(self) -> str:
        """Where a hostapd that starts finds the order "passwords"."""
        return str(CREDENTIALS / ACCESS_POINT / PASSWORDS)

    @property
    def passwords_while_running(self) -> str:
        """Where a hostapd that runs finds passwords that are new."""
        return str(self._passwords / PASSWORDS)

    # -- the adapter

    def adapters(self) -> list[Adapter]:
        """All adapters, the one to use first. Raises OSError."""
        return wifi_adapters.adapters(self._sysfs)

    def take(self, adapter: Adapter) -> None:
        """Gives the adapter its name, and switches its radio on if a program has switched that off.

        Raises Unavailable.
        """
        if adapter.name != NAME:
            log.info("WiFi: %s (%s, %s) is %s", adapter.name, adapter.driver, adapter.mac, NAME)
            if complaint := kernel.rename([(adapter.name, NAME)]):
                raise Unavailable(f"The WiFi adapter could not be named: {complaint}.")
        for switch in (self._sysfs / "class/net" / NAME / "phy80211").glob("rfkill*"):
            if _text(switch / "hard") == "1":
                raise Unavailable(
                    "The WiFi adapter is switched off by a switch of the machine.", remedy="Switch it on."
                )
            if _text(switch / "soft") == "1":
                with contextlib.suppress(OSError):
                    (switch / "soft").write_text("0")

    def set_country(self, code: str) -> None:
        """Tells the kernel the country; empty: only what is allowed everywhere. Waits until it holds."""
        code = code or "00"
        _run(["iw", "reg", "set", code])
        deadline = time.monotonic() + _COUNTRY_S
        while f"country {code}:" not in _run(["iw", "reg", "get"]) and time.monotonic() < deadline:
            time.sleep(0.1)

    def capabilities(self, adapter: Adapter) -> Capabilities:
        """What it can do in the present country."""
        return wifi_adapters.parse_phy(_run(["iw", "phy", adapter.phy, "info"]))

    def is_up(self) -> bool:
        """Whether the access point sends, or the client is connected."""
        return _text(self._sysfs / "class/net" / NAME / "operstate") == "up"

    def scan(self, *, in_use: bool) -> list[FoundNetwork]:
        """Listens for other networks, for a few seconds. Raises Unavailable.

        `in_use`: access point or client is running; else the adapter is only switched on for the scan.
        """
        if not in_use:
            _run(["ip", "link", "set", "dev", NAME, "down"])
            _run(["iw", "dev", NAME, "set", "type", "managed"])
            _run(["ip", "link", "set", "dev", NAME, "up"])
        command = ["iw", "dev", NAME, "scan", "ap-force"]
        try:
            limit = time.monotonic() + _SCAN_LIMIT_S
            while True:
                done = _done(command, timeout_s=_SCAN_TIMEOUT_S)
                if done.returncode == 0:
                    return wifi_scan.parse_scan(done.stdout)
                if done.returncode == _TIMED_OUT:
                    _run(["iw", "dev", NAME, "scan", "abort"])  # else the adapter stays busy
                elif _EBUSY not in done.stderr:
                    break
                if time.monotonic() > limit:
                    break
                time.sleep(_PAUSE_S)
            raise Unavailable(
                f"The WiFi adapter could not look for networks ({' '.join(done.stderr.split())}).",
                remedy="Some cannot while they are an access point: switch WiFi off, then try again.",
            )
        finally:
            if not in_use:
                _run(["ip", "link", "set", "dev", NAME, "down"])

    def stations(self) -> list[Station]:
        """Devices in our own network."""
        return wifi_scan.parse_stations(
            _run(["iw", "dev", NAME, "station", "dump"]), _text(self.lease_file), time.time()
        )

    def connection(self) -> Connection | None:
        """Our connection to another network."""
        return wifi_scan.parse_link(_run(["iw", "dev", NAME, "link"]))

    def is_refused(self) -> bool:
        """Whether wpa_supplicant has given up for a while because the network refuses us."""
        # Its answer comes to a socket of wpa_cli, which both must be able to write to.
        command = ["wpa_cli", "-p", self.control, "-s", self.control, "-i", NAME, "list_networks"]
        return "[TEMP-DISABLED]" in _done(command, umask=0).stdout

    def addresses(self) -> dict[str, list[IPv4Interface]]:
        """IPv4 addresses of this device, by interface."""
        found: dict[str, list[IPv4Interface]] = {}
        for link in json.loads(_run(["ip", "-json", "-4", "address", "show"]) or "[]"):
            for address in link.get("addr_info", ()):
                text = f"{address['local']}/{address['prefixlen']}"
                found.setdefault(link["ifname"], []).append(IPv4Interface(text))
        return found

    # -- its programs

    def applied(self) -> str:
        """The note that was left with `start`, if its programs still run; else empty."""
        units, _, note = _text(self._orders / "applied").partition("\n")
        if not units or _done(["systemctl", "is-active", "--quiet", *units.split()]).returncode:
            return ""
        return note

    def start(self, units: Sequence[str], orders: Mapping[str, str], network: str) -> None:
        """Stops what runs, writes the files, starts `units`. Raises Unavailable.

        `orders`: name → content of the files that the units read; they hold passwords.
        """
        self.stop()
        try:
            self._orders.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, content in orders.items():
                write_atomically(self._orders / name, content.encode(), sync=False)
            changed = networkd_files.write({f"{NAME}.network": network}, self._networkd, NETWORK_PREFIX)
        except OSError as error:
            raise Unavailable(f"The WiFi files could not be written ({error.strerror}).") from error
        if changed:
            _run(["networkctl", "reload"])
        _run(["ip", "link", "set", "dev", NAME, "up"])
        done = _done(["systemctl", "restart", *units])
        if done.returncode:
            raise Unavailable(f"The WiFi programs could not be started ({' '.join(done.stderr.split())}).")

    def change_passwords(self, orders: Mapping[str, str], passwords: str, commands: Sequence[str]) -> None:
        """Says `commands` to the running hostapd; `passwords` is what it reads. Raises Unavailable.

        `orders`: what it gets if it has to start again meanwhile.
        """
        try:
            for name, content in orders.items():
                write_atomically(self._orders / name, content.encode(), sync=False)
            self._write_passwords(passwords)
        except OSError as error:
            raise Unavailable(f"The WiFi files could not be written ({error.strerror}).") from error
        hostapd_control.tell(self._access_point, NAME, commands)

    def _write_passwords(self, content: str) -> None:
        """For its user to read, in a folder where that one can put nothing in its place. Raises OSError."""
        self._passwords.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(KeyError):  # a developer's machine has no such group
            os.chown(self._passwords, -1, grp.getgrnam(GROUP).gr_gid)
        self._passwords.chmod(0o750)
        write_atomically(self._passwords / PASSWORDS, content.encode(), mode=0o644, sync=False)

    def keys_kept(self) -> frozenset[str]:
        """Names of the keys (PMKID) that WPA3 has agreed on and hostapd keeps. Raises Unavailable."""
        return hostapd_control.keys_kept(self._access_point, NAME)

    def somebody_used(self, key: str) -> bool:
        """Whether somebody is in our network by WPA2 with the password of that name. Raises Unavailable."""
        return hostapd_control.somebody_used(self._access_point, NAME, key)

    def leave_note(self, units: Sequence[str], note: str) -> None:
        """Keeps a note (one line) on what was started, for `applied` of a later run of this program."""
        with contextlib.suppress(OSError):
            content = f"{' '.join(units)}\n{note}"
            write_atomically(self._orders / "applied", content.encode(), sync=False)

    def stop(self) -> None:
        """Stops everything; the adapter has no address then and sends nothing."""
        if not any(self._orders.glob("*")):  # nothing was started
            return
        _run(["systemctl", "stop", *UNITS])
        with contextlib.suppress(OSError):
            for path in (*self._orders.glob("*"), *self._passwords.glob("*")):
                path.unlink()
            if networkd_files.write({}, self._networkd, NETWORK_PREFIX):
                _run(["networkctl", "reload"])
        if (self._sysfs / "class/net" / NAME).exists():
            _run(["ip", "address", "flush", "dev", NAME])
            _run(["ip", "link", "set", "dev", NAME, "down"])


def _run(command: Sequence[str]) -> str:
    """The output of a program; what it complains of is logged."""
    done = _done(command)
    if done.returncode:
        log.info("%s: %s", " ".join(command), " ".join(done.stderr.split()))
    return done.stdout


def _done(
    command: Sequence[str], *, umask: int = -1, timeout_s: float = _TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout_s, umask=umask
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, _TIMED_OUT, "", f"not within {timeout_s:g} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
