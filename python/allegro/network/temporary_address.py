"""A known address on the first management port, for who stands in front of a device that cannot be reached.

192.168.77.1/24, or the next one up to .20 that nobody holds (address conflict detection by ARP probes, RFC
5227). It comes beside the address of the settings, and is gone at power-off: it is kept in /run only.
"""

import contextlib
import ipaddress
import json
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from allegro.atomic import write_atomically
from allegro.errors import Conflict, Unavailable

NETWORK = ipaddress.IPv4Network("192.168.77.0/24")
LAST = 20
"""Last host number that is tried."""

Probe = Literal["free", "taken", "no link"]

# RFC 5227, 1.1: three probes, one to two seconds apart, then two seconds to wait for an objection. arping
# waits only one after the last: the fourth probe makes up for that.
_PROBES = 4
_WAIT_S = 5
_ANNOUNCEMENTS = 2
_APPEARS_WITHIN_S = 15.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claim:
    """An address with prefix length. `probed`: it was asked for; without a cable nobody could answer."""

    address: str
    dhcp_server: bool = False
    probed: bool = True


def candidates(own: Iterable[str]) -> list[str]:
    """The addresses to be tried, in order, without those (`own`) that the device has anyhow."""
    taken = {address.partition("/")[0] for address in own}
    return [str(NETWORK[number]) for number in range(1, LAST + 1) if str(NETWORK[number]) not in taken]


class TemporaryAddress:
    """Claims, keeps and gives back the address.

    `kept_in` lies in /run. `own` names the addresses that the device has by itself. `apply` puts a claim,
    or None, into effect, and raises AllegroError. `probe` asks whether an address is free, `announce` tells
    the others about it. May be called from several threads; one after the other is served.
    """

    def __init__(
        self,
        kept_in: Path,
        own: Callable[[], Iterable[str]],
        apply: Callable[[Claim | None], None],
        probe: Callable[[str], Probe],
        announce: Callable[[str], None],
    ) -> None:
        self._kept_in = kept_in
        self._own = own
        self._apply = apply
        self._probe = probe
        self._announce = announce
        self._lock = threading.Lock()
        self._current = load(kept_in)

    @property
    def current(self) -> Claim | None:
        """What is claimed at the moment."""
        return self._current

    def claim(self, *, dhcp_server: bool = False) -> Claim:
        """Takes the first address that nobody holds; one that the device has already is kept.

        Takes some seconds: the others are given time to object. `dhcp_server`: it also gives addresses to
        others. Raises Conflict if all are taken, Unavailable if it cannot be put into effect.
        """
        with self._lock:
            present = self._current
            if present is not None and present.probed:
                claim = Claim(present.address, dhcp_server, True)
                if claim == present:
                    return present
            else:
                claim = self._find(dhcp_server)
            return self._take(claim)

    def release(self) -> None:
        """Gives it back before power-off. Raises AllegroError."""
        with self._lock:
            self._kept_in.unlink(missing_ok=True)
            self._current = None
            self._apply(None)

    def probe_again(self) -> None:
        """To be called when a cable was plugged in: an address that could not be probed is probed now."""
        with self._lock:
            present = self._current
            if present is None or present.probed:
                return
            self._apply(None)  # with the address in use the probe would hear only this device
            claim = self._find(present.dhcp_server)
            self._take(claim)

    def _find(self, dhcp_server: bool) -> Claim:
        for address in candidates(self._own()):
            answer = self._probe(address)
            if answer != "taken":
                return Claim(f"{address}/{NETWORK.prefixlen}", dhcp_server, answer == "free")
            log.info("%s is in use by somebody else", address)
        raise Conflict(
            f"All addresses from {NETWORK[1]} to {NETWORK[LAST]} are in use by others.",
            place="temporary address",
            remedy="Connect a computer to the management port alone, and try again.",
        )

    def _take(self, claim: Claim) -> Claim:
        try:
            write_atomically(self._kept_in, json.dumps(asdict(claim)).encode(), mode=0o644, sync=False)
        except OSError as error:
            raise Unavailable(
                f"The temporary address could not be kept ({error.strerror}).", place="temporary address"
            ) from error
        self._current = claim
        self._apply(claim)
        log.info("Temporary address %s%s", claim.address, ", with DHCP server" if claim.dhcp_server else "")
        if claim.probed:
            self._announce(claim.address.partition("/")[0])
        return claim


def load(kept_in: Path) -> Claim | None:
    """What was claimed since power-on."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        claim = Claim(**json.loads(kept_in.read_bytes()))
        ipaddress.IPv4Interface(claim.address)
        return claim
    return None


def arp_probe(interface: str, address: str) -> Probe:
    """Asks by ARP whether anybody holds the address, as iputils' arping does it (RFC 5227, 2.1.1).

    Takes four seconds if nobody does. Raises Unavailable if it cannot be asked.
    """
    command = ["arping", "-D", "-q", "-c", str(_PROBES), "-w", str(_WAIT_S), "-I", interface, address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_WAIT_S + 20)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"It cannot be asked who holds {address} ({error}).", place=interface) from error
    if done.returncode == 1:
        return "taken"
    if done.returncode == 0:
        return "free"
    if "down" in done.stderr:
        return "no link"
    raise Unavailable(
        f"It cannot be asked who holds {address} ({done.stderr.strip()}).",
        place=interface,
        remedy="Is there a management port?",
    )


def arp_announce(interface: str, address: str) -> None:
    """Tells everybody that the address belongs to this device now (RFC 5227, 2.3).

    Waits until the interface has it. Raises Unavailable if that does not happen.
    """
    command = ["arping", "-U", "-q", "-c", str(_ANNOUNCEMENTS), "-I", interface, address]
    deadline = time.monotonic() + _APPEARS_WITHIN_S
    while True:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20)
            complaint = done.stderr.strip() if done.returncode > 1 else ""
        except (OSError, subprocess.SubprocessError) as error:
            complaint = str(error)
        if not complaint:
            return
        if time.monotonic() > deadline:
            raise Unavailable(
                f"The temporary address {address} does not work ({complaint}).",
                place=interface,
                remedy="Try again; restart the device if this message stays.",
            )
        time.sleep(0.5)
