"""Name and addresses by which the page is reached, for its certificate; asked from the supervisor.

The name, too: a name that is changed while this program runs does not reach it (systemd.exec(5),
ProtectHostname=).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from allegro.errors import AllegroError
from allegro.web.backend import Asker, Backend

_ASKER = Asker("web-certificate", "viewer")


@dataclass(frozen=True)
class Addresses:
    """`lasting`: IPv4, and IPv6 that was set by hand. `passing`: other IPv6, the prefix may change daily."""

    lasting: tuple[str, ...] = ()
    passing: tuple[str, ...] = ()


class DeviceName:
    """The name of the device, as far as it is known here."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self) -> str:
        """The name now."""
        return self._name

    def learn(self, name: str) -> None:
        """It is called so now."""
        self._name = name or self._name


async def own_addresses(backend: Backend, name: DeviceName) -> Addresses | None:
    """Those of all management ports and of the WiFi; None if they cannot be known now. `name` is learnt."""
    try:
        network = await backend.ask(_ASKER, "GET", "/network")
        wifi = await backend.ask(_ASKER, "GET", "/wifi")
        if network["addresses_unknown_since"]:
            return None
        found = [
            (address["address"], address["source"])
            for interface in network["management"]
            for address in interface["addresses"]
        ]
        name.learn(network["host_name"])
        return sorted_addresses([*found, *((address, "") for address in wifi["addresses"])])
    except (AllegroError, KeyError, TypeError, ValueError):
        return None


def sorted_addresses(found: Iterable[tuple[str, str]]) -> Addresses:
    """Of addresses (with prefix length) and where they come from, as GET /network tells. Raises ValueError.

    Without those of IPv6 that hold on one cable only: no browser names these without saying which.
    """
    lasting: list[str] = []
    passing: list[str] = []
    for text, source in found:
        address = ipaddress.ip_interface(text).ip
        if address.version == 6 and address.is_link_local:
            continue
        (lasting if address.version == 4 or source == "static" else passing).append(str(address))
    return Addresses(tuple(dict.fromkeys(lasting)), tuple(dict.fromkeys(passing)))
