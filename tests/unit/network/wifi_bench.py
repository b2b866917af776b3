"""A WiFi adapter without hardware: what the care asks the system for, and does to it."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Interface

from allegro.errors import AllegroError
from allegro.network.wifi_adapters import Adapter, Capabilities
from allegro.network.wifi_care import WifiCare
from allegro.network.wifi_scan import Connection, FoundNetwork, Station
from allegro.settings.model import Settings
from allegro.settings.wifi import Wifi

ADAPTER = Adapter("wlan0", 7, "phy0", "02:00:00:00:00:07", "rtl8xxxu")
CAN = Capabilities(access_point=True, wpa3=True, channels={"2.4": tuple(range(1, 12)), "5": ()})
NEIGHBOUR = FoundNetwork("Café", "02:00:00:00:01:00", -40.0, 2412, 1, "wpa2")


class FakeSystem:
    """Answers with what a test has put in; `log` holds what was done to it."""

    control = "/run/allegro/wifi-client"
    lease_file = "/run/allegro/wifi-dhcp/leases"
    access_point_control = "/run/allegro/wifi-access-point"
    passwords_at_start = "/run/credentials/passwords"
    passwords_while_running = "/run/allegro/wifi-passwords/passwords"

    def __init__(self) -> None:
        self.found = [ADAPTER]
        self.can = CAN
        self.up = True
        self.refused = False
        self.heard: list[FoundNetwork] | AllegroError = [NEIGHBOUR]
        self.own: dict[str, list[IPv4Interface]] = {}
        self.log: list[str] = []
        self.orders: dict[str, str] = {}
        self.network = ""
        self.note = ""
        self.present: list[Station] = []
        self.fails: AllegroError | None = None
        self.silent: AllegroError | None = None
        self.said: list[str] = []
        self.keys: set[str] = set()
        self.joined_with: set[str] = set()
        self.on_country: Callable[[str], None] = lambda _code: None

    def adapters(self) -> list[Adapter]:
        return list(self.found)

    def take(self, adapter: Adapter) -> None:
        self.found[0] = Adapter("wifi0", adapter.index, adapter.phy, adapter.mac, adapter.driver)

    def set_country(self, code: str) -> None:
        self.log.append(f"country {code}")
        self.on_country(code)

    def capabilities(self, adapter: Adapter) -> Capabilities:
        return self.can

    def is_up(self) -> bool:
        return self.up

    def scan(self, *, in_use: bool) -> list[FoundNetwork]:
        self.log.append("scan in use" if in_use else "scan")
        if isinstance(self.heard, AllegroError):
            raise self.heard
        return self.heard

    def stations(self) -> list[Station]:
        return self.present

    def connection(self) -> Connection | None:
        return Connection("Office", "02:00:00:00:02:00", -51.0, 2437)

    def is_refused(self) -> bool:
        return self.refused

    def addresses(self) -> dict[str, list[IPv4Interface]]:
        return self.own

    def applied(self) -> str:
        return self.note

    def leave_note(self, units: Sequence[str], note: str) -> None:
        self.note = note

    def start(self, units: Sequence[str], orders: dict[str, str], network: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.log.append("start " + " ".join(unit.removesuffix(".service") for unit in units))
        self.orders, self.network, self.keys = dict(orders), network, set()

    def change_passwords(self, orders: Mapping[str, str], passwords: str, commands: Sequence[str]) -> None:
        if self.silent is not None:
            raise self.silent
        self.log.append("change passwords")
        self.orders |= orders
        self.said = list(commands)

    def keys_kept(self) -> frozenset[str]:
        return frozenset(self.keys)

    def somebody_used(self, key: str) -> bool:
        return key in self.joined_with

    def stop(self) -> None:
        self.log.append("stop")
        self.note = ""


class FakeEvents:
    """Nothing ever happens by itself."""

    def wait(self, timeout_s: float | None) -> None:
        raise AssertionError("no thread is started")

    def wake(self) -> None:
        pass

    def close(self) -> None:
        pass


class Bench:
    """A care without its thread: a test calls `refresh` itself."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.system = FakeSystem()
        self.own_is_lost = False
        self.care = self.another_care()

    def another_care(self) -> WifiCare:
        """As after a restart of the program."""
        return WifiCare(
            lambda: self.settings,
            lambda: "allegro-mm-3456",
            self.system,
            FakeEvents,
            lambda: self.own_is_lost,
        )

    def set(self, wifi: Wifi) -> list[str]:
        """Changes the settings; answers with what was done."""
        self.settings = Settings(wifi=wifi)
        return self.refreshed()

    def refreshed(self) -> list[str]:
        self.system.log.clear()
        self.care.refresh()
        return list(self.system.log)
