import threading
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.network import overview, ports
from allegro.network.overview import Address, Interface, parse_interfaces, read_interfaces, read_ports
from allegro.network.ports import NetworkDevice
from allegro.settings.network import Links
from allegro.slow_look import SlowLook

# shortened answer of `networkctl --json=short list` of systemd 257
ANSWER = {
    "Interfaces": [
        {
            "Index": 1,
            "Name": "lo",
            "Addresses": [{"Family": 2, "Address": [127, 0, 0, 1], "PrefixLength": 8}],
        },
        {
            "Index": 2,
            "Name": "mgmt0",
            "DNS": [{"Family": 2, "Address": [10, 0, 2, 3], "ConfigSource": "DHCPv4"}],
            "Addresses": [
                {
                    "Family": 10,
                    "Address": [254, 128, *[0] * 6, 80, 84, 0, 255, 254, 161, 30, 0],
                    "PrefixLength": 64,
                    "ConfigSource": "foreign",
                },
                {"Family": 2, "Address": [10, 0, 2, 15], "PrefixLength": 24, "ConfigSource": "DHCPv4"},
            ],
            "Routes": [
                {"Family": 2, "Destination": [10, 0, 2, 0], "DestinationPrefixLength": 24},
                {"Destination": [0, 0, 0, 0], "DestinationPrefixLength": 0, "Gateway": [10, 0, 2, 2]},
            ],
        },
        {"Index": 3, "Name": "port1"},
    ]
}


@pytest.mark.spec("N1")
def test_addresses_as_networkctl_tells_them() -> None:
    found = parse_interfaces(ANSWER)
    assert found["mgmt0"] == Interface(
        "mgmt0",
        (Address("10.0.2.15/24", "DHCPv4"), Address("fe80::5054:ff:fea1:1e00/64", "foreign")),
        ("10.0.2.2",),
        ("10.0.2.3",),
    )
    assert found["port1"] == Interface("port1")


@pytest.mark.spec("N4", "W3")
def test_a_networkd_that_hangs_leaves_the_addresses_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()

    def look() -> dict[str, Interface]:
        if hangs.is_set():
            threading.Event().wait()
        return parse_interfaces(ANSWER)

    monkeypatch.setattr(overview, "_ADDRESSES", SlowLook("addresses", look, 0.05, now_ns=lambda: 7))
    known = read_interfaces(["mgmt0", "mgmt1"])
    assert [one.name for one in known.interfaces] == ["mgmt0", "mgmt1"]
    assert known.interfaces[0].addresses[0].address == "10.0.2.15/24"
    assert known.unknown_since_ns is None
    hangs.set()
    assert read_interfaces(["mgmt0", "mgmt1"]) == replace(known, unknown_since_ns=7)


@pytest.mark.spec("L2")
def test_ports_that_are_there_and_ports_that_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [
        NetworkDevice(name, "wired", f"pci/{number}", f"02:00:00:00:00:0{number}", "e1000")
        for number, name in enumerate(["mgmt0", "port1", "port2", "port10"])
    ]
    monkeypatch.setattr(ports, "read_devices", lambda sysfs: devices)
    for name, carrier, speed in (("mgmt0", "1", "1000"), ("port1", "0", "-1"), ("port2", "1", "-1")):
        folder = tmp_path / "class/net" / name
        folder.mkdir(parents=True)
        (folder / "carrier").write_text(carrier)
        (folder / "speed").write_text(speed)
        (folder / "mtu").write_text("9216")
    known = {"02:00:00:00:00:00": "mgmt0", "02:00:00:00:00:09": "port3", "02:00:00:00:00:08": "eth7"}
    found = read_ports(known, Links(), tmp_path)
    assert [one.name for one in found] == ["mgmt0", "port1", "port2", "port3", "port10"]
    by_name = {one.name: one for one in found}
    assert (by_name["mgmt0"].role, by_name["mgmt0"].speed_mbit, by_name["mgmt0"].link) == (
        "management",
        1000,
        "",
    )
    assert (by_name["port1"].link, by_name["port1"].link_up, by_name["port1"].mtu) == ("br1", False, 9216)
    assert (by_name["port2"].link_up, by_name["port2"].speed_mbit) == (True, None)
    assert (by_name["port3"].present, by_name["port3"].key) == (False, "02:00:00:00:00:09")
    assert by_name["port10"].link == ""
