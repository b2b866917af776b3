"""What `ipmitool` would answer in a machine with a BMC."""

from collections.abc import Sequence

from allegro.system.bmc import Said


class PlayingBmc:
    """One LAN on channel 1, by DHCP and without an address at first."""

    def __init__(self) -> None:
        self.source = "DHCP"
        self.address = "0.0.0.0"
        self.mask = "0.0.0.0"
        self.gateway = "0.0.0.0"

    def __call__(self, arguments: Sequence[str]) -> Said:
        """Runs `ipmitool` with these arguments."""
        if arguments[:2] == ["lan", "set"]:
            match list(arguments[3:]):
                case ["ipsrc", source]:
                    self.source = {"dhcp": "DHCP", "static": "Static"}[source]
                case ["ipaddr", address]:
                    self.address = address
                case ["netmask", mask]:
                    self.mask = mask
                case ["defgw", "ipaddr", gateway]:
                    self.gateway = gateway
        text = f"""\
IP Address Source       : {self.source} Address
IP Address              : {self.address}
Subnet Mask             : {self.mask}
MAC Address             : 02:00:00:00:bb:01
Default Gateway IP      : {self.gateway}
"""
        return Said(0, text, "")
