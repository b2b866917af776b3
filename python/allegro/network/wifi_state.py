"""How the WiFi adapter is, what was done to it, and what the care of it needs of the system: plain data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Literal, Protocol

from allegro.errors import AllegroError
from allegro.network import wifi_handover
from allegro.network.wifi_adapters import Adapter, Capabilities
from allegro.network.wifi_scan import Connection, FoundNetwork, Station
from allegro.settings.wifi import Mode

State = Literal["no-adapter", "off", "starting", "on", "connecting", "connected", "refused", "failed"]


class System(wifi_handover.System, Protocol):
    """What the care needs of `allegro.network.wifi_system.WifiSystem`."""

    @property
    def control(self) -> str: ...  # noqa: D102 (described there, as all below)
    @property
    def lease_file(self) -> object: ...  # noqa: D102
    def adapters(self) -> list[Adapter]: ...  # noqa: D102
    def take(self, adapter: Adapter) -> None: ...  # noqa: D102
    def set_country(self, code: str) -> None: ...  # noqa: D102
    def capabilities(self, adapter: Adapter) -> Capabilities: ...  # noqa: D102
    def is_up(self) -> bool: ...  # noqa: D102
    def scan(self, *, in_use: bool) -> list[FoundNetwork]: ...  # noqa: D102
    def stations(self) -> list[Station]: ...  # noqa: D102
    def connection(self) -> Connection | None: ...  # noqa: D102
    def is_refused(self) -> bool: ...  # noqa: D102
    def addresses(self) -> dict[str, list[IPv4Interface]]: ...  # noqa: D102
    def applied(self) -> str: ...  # noqa: D102
    def leave_note(self, units: Sequence[str], note: str) -> None: ...  # noqa: D102
    def start(self, units: Sequence[str], orders: dict[str, str], network: str) -> None: ...  # noqa: D102
    def stop(self) -> None: ...  # noqa: D102


class Events(Protocol):
    """What the care needs of `allegro.network.link_events.LinkEvents`."""

    def wait(self, timeout_s: float | None) -> object: ...  # noqa: D102
    def wake(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class InForce:
    """What was put into effect last. `what` is a digest of all that decided it; `security`, `band` and
    `channel` are those of an access point, and `key` the digest of its password.
    """

    mode: Mode
    adapter: Adapter | None = None
    what: str = ""
    key: str = ""
    ssid: str = ""
    security: str = ""
    band: str = ""
    channel: int = 0
    since_s: float = 0.0  # monotonic
    started: bool = False
    failure: AllegroError | None = None


@dataclass(frozen=True)
class WifiStatus:
    """How the WiFi adapter is. Times: seconds since the epoch.

    `first_password`: the access point has that of a new device; `both_passwords_s`: for so long that lets in
    beside the own one.
    """

    mode: Mode
    state: State
    message: str
    remedy: str
    adapter: Adapter | None
    can: Capabilities | None
    ssid: str
    security: str
    band: str
    channel: int
    addresses: tuple[str, ...]
    signal_dbm: float | None
    stations: tuple[Station, ...]
    networks: tuple[FoundNetwork, ...] | None
    scanned_s: float | None
    first_password: bool
    both_passwords_s: float | None


def told(
    force: InForce, wanted: Mode, is_up: Callable[[], bool], is_refused: Callable[[], bool]
) -> tuple[State, str, str]:
    """State, message and remedy for what is in force where a mode is `wanted`. The system is asked last."""
    if force.adapter is None:
        return "no-adapter", "No WiFi adapter is plugged in.", ""
    if force.failure is not None:
        return "failed", force.failure.message, force.failure.remedy
    if force.mode != wanted:
        return "starting", "", ""
    if force.mode == "off":
        return "off", "", ""
    if not force.started:
        return "starting", "", ""
    up = is_up()
    if force.mode == "access-point":
        return ("on" if up else "starting"), "", ""
    if up:
        return "connected", "", ""
    if is_refused():
        return (
            "refused",
            f"The network {force.ssid} refuses this device.",
            "Most likely the password is wrong. It is tried again now and then.",
        )
    return "connecting", f"The network {force.ssid} is being looked for.", ""
