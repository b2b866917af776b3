"""The network of the device, put together: care, changes with a way back, temporary address."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from allegro.errors import AllegroError, Conflict, NotFound, Unavailable
from allegro.network import configure, ethtool, kernel, links, overview, ports
from allegro.network.overview import Port
from allegro.network.ports import FIRST_MANAGEMENT
from allegro.network.temporary_address import Claim, Probe, TemporaryAddress, arp_announce, arp_probe
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.supervisor.changes import Applier
from allegro.supervisor.network_care import NetworkCare
from allegro.supervisor.safe_change import SafeChange
from allegro.system import clock
from allegro.system.actions import Actions

if TYPE_CHECKING:  # it brings all of FastAPI, which is imported last
    from allegro.api.network import NetworkParts

CLAIMING = "temporary-address"

log = logging.getLogger(__name__)


class Networking:
    """`controls`: whether the network of this machine is ours; otherwise it is only looked at.

    `put_back` saves and applies settings that were in force before (see SettingsChanger); `wifi_in_use` tells
    whether there is a WiFi adapter.
    """

    def __init__(
        self,
        paths: Paths,
        settings: SettingsStore,
        actions: Actions,
        put_back: Callable[[Mapping[str, Any]], object],
        wifi_in_use: Callable[[], bool],
        *,
        controls: bool,
    ) -> None:
        self._settings = settings
        self._actions = actions
        self._controls = controls
        self._memory = configure.memory(paths.state)
        self._localtime = paths.localtime
        self._put_back = put_back
        self.temporary = TemporaryAddress(
            paths.temporary_address,
            lambda: [address for _, address in settings.current.own_addresses()],
            self._apply_temporary,
            _probe,
            lambda address: arp_announce(FIRST_MANAGEMENT, address),
        )
        self._care = NetworkCare(
            lambda: settings.current,
            self._memory,
            lambda: self.temporary.current,
            self.temporary.probe_again,
        )
        self.safe = SafeChange(
            paths.unconfirmed_change,
            lambda: configure.known_names(self._memory),
            self._go_back,
            wifi_in_use,
        )

    def appliers(self) -> Sequence[Applier]:
        """What changed settings are put into effect by."""
        if not self._controls:
            return ()
        return (
            Applier(("links", "management", "time"), self._care.apply),
            Applier(("time",), lambda new: clock.apply(new.time, self._localtime)),
        )

    def check_pairs(self, old: Settings, new: Settings) -> None:
        """Raises InvalidInput for a pair that this device does not have, see `links.check_pairs`."""
        if new.links.pairs != old.links.pairs:
            links.check_pairs(old.links, new.links, [port.name for port in self.ports()])

    def start(self) -> Callable[[], None]:
        """Begins to look after the network; answers with what ends that."""
        self._care.start()
        self.safe.start()

        def stop() -> None:
            self.safe.stop()
            self._care.stop()

        return stop

    def claim(self, dhcp_server: bool = False) -> Claim:
        """The temporary address for Shift+S; see `TemporaryAddress.claim`. The status shows it."""
        self._require_control()
        self._actions.start(CLAIMING, "A temporary address is being looked for.")
        try:
            claim = self.temporary.claim(dhcp_server=dhcp_server)
        except AllegroError as error:
            self._actions.failed(CLAIMING, str(error))
            raise
        except BaseException:
            self._actions.failed(CLAIMING, "There is no temporary address: something unexpected happened.")
            raise
        unasked = "" if claim.probed else " Nobody could be asked whether it is free: there is no cable."
        self._actions.done(
            CLAIMING, f"The management port has the address {claim.address} until power-off.{unasked}"
        )
        return claim

    def release(self) -> None:
        """Gives the temporary address back. Raises AllegroError."""
        self._require_control()
        self.temporary.release()
        self._actions.done(CLAIMING, "The temporary address is given back.")

    def reassign(self, changes: Mapping[str, str]) -> None:
        """Gives ports other names (present → wanted); those of management ports have to be confirmed.

        Raises InvalidInput that names the wrong one, Unavailable.
        """
        self._require_control()
        with self.safe.lock:
            try:
                wanted = ports.reassigned(ports.read_devices(), changes)
            except OSError as error:
                raise Unavailable(f"The ports cannot be read ({error.strerror}).") from error
            moved = {old: new for old, new in wanted.items() if old != new}
            if any(name.startswith("mgmt") for name in (*moved, *moved.values())):
                self.safe.expect({}, self._settings.current.management.confirm_s)
            self._care.reassign(moved)

    def ports(self) -> list[Port]:
        """All wired ports. Raises Unavailable."""
        try:
            return overview.read_ports(configure.known_names(self._memory), self._settings.current.links)
        except OSError as error:
            raise Unavailable(f"The ports cannot be read ({error.strerror}).") from error

    def blink(self, name: str, seconds: int) -> None:
        """Lets a light of a port blink for so long, and waits for its end. Raises AllegroError."""
        self._require_control()
        found = next((port for port in self.ports() if port.name == name and port.present), None)
        if found is None:
            raise NotFound(f"There is no port {name}.", place="name")
        try:
            can = ethtool.blink(name, seconds)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise Conflict("A port is blinking already.", remedy="Wait until it has ended.") from error
            raise Unavailable(f"{name} does not blink ({error.strerror}).") from error
        if not can:
            raise Conflict(
                f"{name} cannot be made to blink: its network card ({found.driver or 'of unknown kind'})"
                " has no light for that.",
                remedy="Pull its cable and plug it in again, which interrupts its link: “no cable” comes and"
                " goes.",
            )

    def parts(self) -> NetworkParts:
        """What the API is given."""
        from allegro.api.network import NetworkParts

        return NetworkParts(
            settings=lambda: self._settings.current,
            name=socket.gethostname,
            ports=self.ports,
            interfaces=overview.read_interfaces,
            remaining_s=self.safe.remaining_s,
            taken_back=lambda: self.safe.taken_back,
            confirm=self.safe.confirm,
            take_back=self.safe.take_back,
            reassign=self.reassign,
            blink=self.blink,
            temporary=lambda: self.temporary.current,
            claim=self.claim,
            release=self.release,
        )

    def _require_control(self) -> None:
        if not self._controls:
            raise Unavailable("The network of this machine is left alone: this is no device.")

    def _apply_temporary(self, claim: Claim | None) -> None:
        self._care.apply_temporary(claim)

    def _go_back(self, sections: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._put_back(sections)
        self._care.restore_names(names)


def _probe(address: str) -> Probe:
    if FIRST_MANAGEMENT not in kernel.device_names():
        raise Unavailable(
            "There is no management port.",
            place=FIRST_MANAGEMENT,
            remedy="Plug a USB network adapter in, and try again.",
        )
    return arp_probe(FIRST_MANAGEMENT, address) if kernel.has_link(FIRST_MANAGEMENT) else "no link"
