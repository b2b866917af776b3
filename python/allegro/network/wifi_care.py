"""Keeps the WiFi adapter as the settings want it: when they change, when it is plugged in or out.

Works in a thread of its own that sleeps until the kernel tells of a change. Programs that end are started
again by systemd. What failed is tried again after half a minute.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Interface
from typing import cast

from allegro.errors import AllegroError, Conflict, Unavailable
from allegro.network import wifi_files, wifi_handover, wifi_note, wifi_plan, wifi_system
from allegro.network.wifi_adapters import NAME, Adapter, Capabilities
from allegro.network.wifi_files import Radio
from allegro.network.wifi_handover import Passwords
from allegro.network.wifi_scan import FoundNetwork, by_name
from allegro.network.wifi_state import Events, InForce, System, WifiStatus, told
from allegro.settings.model import Settings
from allegro.settings.wifi import FIRST_PASSWORD, Band, Mode, Wifi
from allegro.system.health import Problem

COMES_UP_S = 20.0
"""An access point sends after about a second; a change of the country takes a few."""

CONNECTS_S = 60.0
RETRY_S = 30.0

log = logging.getLogger(__name__)


class WifiCare:
    """`host_name` names the access point, unless a setting does. `own_is_lost`: whether the device had a
    password of its own that is gone with its settings.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        host_name: Callable[[], str],
        system: System,
        events: Callable[[], Events],
        own_is_lost: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._host_name = host_name
        self._system = system
        self._make_events = events
        self._own_is_lost = own_is_lost
        self._passwords = Passwords(system)
        self._events: Events | None = None
        self._in_force = InForce("off")
        self._can: Capabilities | None = None
        self._networks: tuple[FoundNetwork, ...] | None = None
        self._scanned_s: float | None = None
        self._working = threading.Lock()  # around everything that changes the adapter
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wifi", daemon=True)

    def start(self) -> None:
        """Starts looking after the adapter. Raises OSError."""
        self._events = self._make_events()
        self._thread.start()

    def stop(self) -> None:
        """Stops looking after it; access point or connection stay as they are."""
        self._stop.set()
        if self._events is not None:
            self._events.wake()
            self._thread.join()
            self._events.close()

    def apply(self, _: Settings) -> None:
        """Lets changed settings be put into effect, in a moment: the answer may have to leave over WiFi."""
        if self._events is not None:
            self._events.wake()

    # -- what is seen

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter is plugged in."""
        return self._in_force.adapter is not None

    def status(self) -> WifiStatus:
        """How things are now."""
        force, settings = self._in_force, self._settings().wifi
        state, message, remedy = told(force, settings.mode, self._system.is_up, self._system.is_refused)
        connection = self._system.connection() if state == "connected" else None
        own = self._system.addresses().get(NAME, []) if state in ("on", "connected") else []
        if state == "connected" and not own:
            message = "No address has been given yet (DHCP)."
        return WifiStatus(
            mode=settings.mode,
            state=state,
            message=message,
            remedy=remedy,
            adapter=force.adapter,
            can=self._can if force.adapter else None,
            ssid=force.ssid if force.adapter else "",
            security=force.security,
            band=force.band,
            channel=force.channel,
            addresses=tuple(map(str, own)),
            signal_dbm=connection.signal_dbm if connection else None,
            stations=tuple(self._system.stations()) if state == "on" else (),
            networks=self._networks if force.adapter else None,
            scanned_s=self._scanned_s if force.adapter else None,
            first_password=settings.access_point.password == FIRST_PASSWORD,
            both_passwords_s=self._passwords.both_s,
        )

    def problem(self) -> Problem | None:
        """What is wrong with the WiFi, if it is plugged in and switched on. Costs next to nothing."""
        force = self._in_force
        if force.failure is not None:
            return Problem("wifi", "warning", f"WiFi: {force.failure.message}", force.failure.remedy)
        late = time.monotonic() - force.since_s > CONNECTS_S
        if force.adapter is not None and force.mode == "client" and late and not self._system.is_up():
            return Problem(
                "wifi",
                "warning",
                f"The device is not connected to the WiFi network {force.ssid}.",
                "Is the network in reach, and the password right? Management interface settings tell more.",
            )
        return None

    def scan(self) -> WifiStatus:
        """Looks for networks, which takes a few seconds. Raises Conflict, Unavailable."""
        with self._working:
            force = self._in_force
            if force.adapter is None:
                raise Conflict("There is no WiFi adapter.", remedy="Plug one in.")
            in_use = force.mode != "off" and force.failure is None
            if not in_use:
                self._system.take(force.adapter)
            self._networks = tuple(by_name(self._system.scan(in_use=in_use)))
            self._scanned_s = time.time()
        return self.status()

    # -- what is done

    def _run(self) -> None:
        assert self._events is not None  # noqa: S101 (made before the thread is started)
        while not self._stop.is_set():
            try:
                self.refresh()
            except Exception:  # the next look may succeed
                log.exception("WiFi: unforeseen")
            again = isinstance(self._in_force.failure, Unavailable)
            both = self._passwords.handover is not None
            self._events.wait(wifi_handover.LOOK_EVERY_S if both else RETRY_S if again else None)

    def refresh(self) -> None:
        """Brings everything up to date; does nothing if it is."""
        with self._working:
            settings = self._settings().wifi
            try:
                found = self._system.adapters()
            except OSError as error:
                log.error("The WiFi adapters cannot be listed: %s", error)
                return
            adapter = found[0] if found else None
            before = self._in_force
            try:
                self._put_into_effect(settings, adapter)
                if self._is_handed_over():
                    self._let_in_by_one(settings, adapter)
            except AllegroError as error:
                if str(error) != str(self._in_force.failure):
                    log.warning("WiFi: %s", error)
                self._system.stop()
                tried, key = (
                    ("", "") if self._in_force is before else (self._in_force.what, self._in_force.key)
                )
                self._in_force = InForce(settings.mode, adapter, tried, key, failure=error)

    def _put_into_effect(self, settings: Wifi, adapter: Adapter | None) -> None:
        present = self._in_force
        if adapter is None or settings.mode == "off":
            what = f"{settings.mode} {adapter}"
            if adapter is not None:
                self._passwords.handover = None
            if present.what != what:
                self._system.stop()
                if present.adapter is not None and adapter is None:
                    log.info("WiFi: the adapter is gone")
                self._in_force = InForce(settings.mode, adapter, what)
                self._can = self._system.capabilities(adapter) if adapter else None
            return
        if adapter.name != NAME:
            self._system.stop()
        self._system.take(adapter)
        adapter = replace(adapter, name=NAME)
        if present.what == "":  # nothing was done yet by this run of the program
            present = self._left_running(settings.mode, adapter) or present
        own, key = self._own_address(settings), self._key(settings)
        what = self._what(settings, adapter, own)
        # What the adapter cannot do it will not be able to later; what failed may work by now.
        if (present.what, present.key) == (what, key) and not isinstance(present.failure, Unavailable):
            self._in_force = present
            return
        if key in ("", _FIRST_KEY):
            self._passwords.handover = None
        elif present.key == _FIRST_KEY and present.started:
            self._passwords.begin()
            if present.what == what and self._lets_in_by_both(settings, replace(present, key=key)):
                return
        # Until it does, the failure is what there is to tell.
        failure = present.failure if present.what == what else None
        new = InForce(settings.mode, adapter, what, key, since_s=time.monotonic(), failure=failure)
        log.info("WiFi: %s", settings.mode)
        self._in_force = new
        if settings.mode == "client":
            self._in_force = self._start_client(settings, self._in_force)
        elif own is not None:
            self._in_force = self._start_access_point(settings, self._in_force, own)

    def _own_address(self, settings: Wifi) -> IPv4Interface | None:
        if settings.mode != "access-point":
            return None
        others = self._system.addresses()
        taken = [each.network for name, own in others.items() if name != NAME for each in own]
        return wifi_plan.own_address(settings.access_point, taken)

    def _what(self, settings: Wifi, adapter: Adapter, own: IPv4Interface | None) -> str:
        """Everything that decides what is started, but for the access point's password (`_key`)."""
        point = settings.access_point
        mode = (
            {**point.model_dump(exclude={"password"}), "is key": wifi_files.is_wpa_key(point.password)}
            if settings.mode == "access-point"
            else settings.client.model_dump()
        )
        decides = (
            *(settings.mode, settings.country, self._host_name(), adapter.index, adapter.mac, str(own)),
            mode,
        )
        return _digest(json.dumps(decides))

    def _key(self, settings: Wifi) -> str:
        """Digest of the access point's password. Raises Conflict where only the first one is left."""
        if settings.mode != "access-point":
            return ""
        password = settings.access_point.password
        if password == FIRST_PASSWORD and self._own_is_lost():
            raise Conflict(
                "The WiFi stays off: the settings with its password are lost, and that of a new device, which"
                " is in the manual, would let anybody in.",
                place="wifi.access_point.password",
                remedy="Choose a password for it on the page Management interface settings.",
            )
        return _digest(password)

    # -- from the first password to the own one

    def _lets_in_by_both(self, settings: Wifi, force: InForce) -> bool:
        """Lets the running access point take the own password as well; whether that was possible."""
        own = settings.access_point.password
        if not wifi_files.can_change_running(own):
            return False
        try:
            self._passwords.hold_both(self._radio(settings, force), own)
        except Unavailable as error:
            log.warning("WiFi: the access point is started again for its new password: %s", error)
            return False
        log.info("WiFi: the first password holds beside the new one, until somebody has joined with that")
        self._in_force = self._started((wifi_system.ACCESS_POINT, wifi_system.DHCP), force)
        return True

    def _is_handed_over(self) -> bool:
        force = self._in_force
        if self._passwords.both_s is None or (self._passwords.both_s and not force.started):
            return False
        try:
            return self._passwords.is_over()
        except Unavailable as error:  # it may be starting
            log.debug("WiFi: %s", error)
            return False

    def _let_in_by_one(self, settings: Wifi, adapter: Adapter | None) -> None:
        """Only the own password counts from now on."""
        log.info("WiFi: the first password holds no longer")
        own, force = settings.access_point.password, self._in_force
        if force.started and wifi_files.can_change_running(own):
            try:
                self._passwords.hold_one(self._radio(settings, force), own)
            except Unavailable as error:
                log.warning("WiFi: the access point is started again with its password: %s", error)
            else:
                self._in_force = self._started((wifi_system.ACCESS_POINT, wifi_system.DHCP), force)
                return
        self._passwords.handover = None
        self._in_force = replace(force, key="")
        self._put_into_effect(settings, adapter)

    def _radio(self, settings: Wifi, force: InForce) -> Radio:
        return Radio(
            force.ssid,
            cast("Band", force.band),
            force.channel,
            country=settings.country,
            wpa3=force.security == "wpa2-wpa3",
            ac=self._can is not None and self._can.ac,
        )

    def _left_running(self, mode: Mode, adapter: Adapter) -> InForce | None:
        """What an earlier run of this program has started, if it still runs."""
        note = wifi_note.read(self._system.applied())
        if note is None:
            return None
        self._passwords.handover = note.handover
        self._can = self._system.capabilities(adapter)
        return replace(note.force, mode=mode, adapter=adapter, since_s=time.monotonic())

    def _started(self, units: tuple[str, ...], force: InForce) -> InForce:
        self._system.leave_note(units, wifi_note.written(force, self._passwords.handover))
        return replace(force, started=True, failure=None)

    def _start_client(self, settings: Wifi, force: InForce) -> InForce:
        assert force.adapter is not None  # noqa: S101 (its caller has one)
        self._system.set_country(settings.country)
        self._can = self._system.capabilities(force.adapter)
        units = (wifi_system.CLIENT,)
        self._system.start(
            units,
            {"client": wifi_files.wpa_supplicant(settings.client, settings.country, self._system.control)},
            wifi_files.client_network(),
        )
        return self._started(units, replace(force, ssid=settings.client.ssid))

    def _start_access_point(self, settings: Wifi, force: InForce, own: IPv4Interface) -> InForce:
        assert force.adapter is not None  # noqa: S101 (its caller has one)
        self._system.set_country(settings.country)
        self._can = can = self._system.capabilities(force.adapter)
        plan = wifi_plan.access_point(
            settings,
            self._host_name(),
            own,
            can,
            self._neighbours,
            str(self._system.lease_file),
            self._system.access_point_control,
            self._passwords.more(),
        )
        self._passwords.restarted()
        units = (wifi_system.ACCESS_POINT, wifi_system.DHCP)
        self._system.start(
            units,
            {
                "access-point": plan.hostapd,
                "dhcp": plan.dnsmasq,
                **self._passwords.orders(settings.access_point.password),
            },
            plan.network,
        )
        deadline = time.monotonic() + COMES_UP_S
        while not self._system.is_up():
            if time.monotonic() > deadline or self._stop.wait(0.1):
                raise Unavailable(
                    "The access point does not start.",
                    remedy="The log says why. Try another channel or band, or another adapter.",
                )
        log.info("WiFi: access point %s, channel %d, %s", plan.radio.ssid, plan.radio.channel, own)
        up = replace(
            force,
            ssid=plan.radio.ssid,
            security=plan.security,
            band=plan.radio.band,
            channel=plan.radio.channel,
        )
        return self._started(units, up)

    def _neighbours(self) -> Sequence[FoundNetwork]:
        try:
            return self._system.scan(in_use=False)
        except Unavailable as error:
            log.info("WiFi: the channel is chosen without listening: %s", error.message)
            return ()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_FIRST_KEY = _digest(FIRST_PASSWORD)
