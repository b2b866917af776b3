"""The range of addresses that a DHCP server of the device gives to others; by cable and by WiFi alike."""

from ipaddress import IPv4Address, IPv4Interface

from allegro.settings.base import mistake, of_one_device, parsed


def one_address(value: str) -> str:
    """An address of one device in its usual form, or empty. Raises ValueError."""
    if not value:
        return value
    address = parsed(IPv4Address, value, "an IPv4 address")
    of_one_device(address)
    return str(address)


def check_leases(first: str, last: str, own: str) -> None:
    """Checks a range that may be empty against the device's `own` address with prefix length.

    Raises the mistake at `lease_first`, `lease_last` or `address` of the section.
    """
    if bool(first) != bool(last):
        name = "lease_last" if first else "lease_first"
        raise mistake("the first and the last leased address belong together", "", name)
    if not first:
        return
    if not own:
        words = "the address of the device has to be set as well, so that both lie in one subnet"
        raise mistake(words, first, "address")
    interface = IPv4Interface(own)
    network = interface.network
    for name, text in (("lease_first", first), ("lease_last", last)):
        lease = IPv4Address(text)
        if lease not in network:
            raise mistake(f"{text} is not in the subnet {network}", text, name)
        if lease in (network.network_address, network.broadcast_address):
            raise mistake(f"{text} is the network or broadcast address of {network}", text, name)
    if IPv4Address(first) > IPv4Address(last):
        raise mistake(f"the last leased address is below the first one ({first})", last, "lease_last")
    if IPv4Address(first) == IPv4Address(last) == interface.ip:
        raise mistake("the only leased address is the one of this device", first, "lease_first")


def lease_range(first: str, last: str, own: IPv4Interface) -> tuple[IPv4Address, IPv4Address]:
    """First and last leased address: as set, else .100 to .199, in a subnet smaller than /24 all of it.

    The device's `own` address may lie between: DHCP servers leave it out.
    """
    if first:
        return IPv4Address(first), IPv4Address(last)
    network = own.network
    if network.prefixlen <= 24:
        return network.network_address + 100, network.network_address + 199
    return network.network_address + 1, network.broadcast_address - 1
