from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import InvalidInput, NotFound, Unavailable
from allegro.system.bmc import Bmc, BmcLan, Said, parse, settings

pytestmark = pytest.mark.spec("N6")

# shortened answer of ipmitool 1.8.19
PRINT = """\
Set in Progress         : Set Complete
Auth Type Enable        : Callback :
                        : User     : MD5
IP Address Source       : {source}
IP Address              : {address}
Subnet Mask             : {mask}
MAC Address             : 52:54:00:b0:0b:00
Default Gateway IP      : {gateway}
802.1q VLAN ID          : Disabled
"""


class Controller:
    """A BMC whose LAN is channel 3."""

    def __init__(self, tmp_path: Path, *, refuse: str = "") -> None:
        self.values = {
            "source": "DHCP Address",
            "address": "0.0.0.0",
            "mask": "0.0.0.0",
            "gateway": "0.0.0.0",
        }
        self.refuse = refuse
        self.asked: list[list[str]] = []
        (tmp_path / "ipmi0").touch()
        self.bmc = Bmc(self.run, tmp_path / "ipmi0")

    def run(self, arguments: Sequence[str]) -> Said:
        self.asked.append(list(arguments))
        _, what, channel, *more = arguments
        if channel != "3":
            return Said(1, "", f"Channel {channel} is not a LAN channel")
        if what == "print":
            return Said(0, PRINT.format(**self.values), "")
        if self.refuse and more[0] == self.refuse:
            return Said(1, "", "LAN Parameter Data does not match")
        match more:
            case ["ipsrc", source]:
                self.values["source"] = {"static": "Static Address", "dhcp": "DHCP Address"}[source]
            case ["ipaddr", address]:
                self.values["address"] = address
            case ["netmask", mask]:
                self.values["mask"] = mask
            case ["defgw", "ipaddr", gateway]:
                self.values["gateway"] = gateway
        return Said(0, "", "")


def test_the_address_is_read_from_the_channel_that_is_a_lan(tmp_path: Path) -> None:
    controller = Controller(tmp_path)
    assert controller.bmc.lan() == BmcLan(3, "dhcp", "", "", "52:54:00:b0:0b:00")


def test_what_is_shown_counts_and_not_how_ipmitool_ends(tmp_path: Path) -> None:
    values = {"source": "DHCP Address", "address": "0.0.0.0", "mask": "0.0.0.0", "gateway": "0.0.0.0"}
    (tmp_path / "ipmi0").touch()
    shown = Bmc(lambda _: Said(1, PRINT.format(**values), "no cipher suites"), tmp_path / "ipmi0").lan()
    assert (shown.channel, shown.source) == (1, "dhcp")


def test_the_address_is_set_and_read_back(tmp_path: Path) -> None:
    controller = Controller(tmp_path)
    assert controller.bmc.set_lan("static", "192.0.2.7/25", "192.0.2.1") == BmcLan(
        3, "static", "192.0.2.7/25", "192.0.2.1", "52:54:00:b0:0b:00"
    )
    assert controller.bmc.set_lan("dhcp").source == "dhcp"
    assert controller.bmc.set_lan("static", "192.0.2.8/24").gateway == ""


def test_a_refusal_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"refused netmask 255\.255\.255\.0"):
        Controller(tmp_path, refuse="netmask").bmc.set_lan("static", "192.0.2.8/24")


def test_no_bmc_and_no_lan(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no BMC"):
        Bmc(lambda _: Said(0, "", ""), tmp_path / "ipmi0").lan()
    (tmp_path / "ipmi0").touch()
    with pytest.raises(NotFound, match=r"no LAN port \(Invalid channel\)"):
        Bmc(lambda _: Said(1, "", "Invalid channel"), tmp_path / "ipmi0").lan()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"source": "static", "address": ""}, "address"),
    ({"source": "static", "address": "192.0.2.7"}, "address"),
    ({"source": "static", "address": "192.0.2.7/255.255.255.0"}, "address"),
    ({"source": "static", "address": "192.0.2.0/24"}, "address"),
    ({"source": "static", "address": "192.0.2.255/24"}, "address"),
    ({"source": "static", "address": "192.0.2.7/31"}, "address"),
    ({"source": "static", "address": "192.0.2.7/24", "gateway": "router"}, "gateway"),
    ({"source": "static", "address": "192.0.2.7/24", "gateway": "192.0.3.1"}, "gateway"),
    ({"source": "static", "address": "192.0.2.7/24", "gateway": "192.0.2.7"}, "gateway"),
    ({"source": "dhcp", "address": "192.0.2.7/24"}, "address"),
    ({"source": "dhcp", "gateway": "192.0.2.7"}, "gateway"),
]


@pytest.mark.parametrize(("wanted", "place"), WRONG)
def test_what_cannot_be_is_refused_before_the_bmc_is_asked(wanted: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        settings(wanted["source"], wanted.get("address", ""), wanted.get("gateway", ""))
    assert caught.value.place == place


def test_nonsense_is_no_lan() -> None:
    assert parse(1, "") is None
    assert parse(1, "Set in Progress : Set Complete\n") is None
