import dataclasses
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allegro.errors import InvalidInput
from allegro.network.ports import (
    Kind,
    NetworkDevice,
    assign,
    in_bus_order,
    management,
    measuring,
    read_devices,
    reassigned,
    remembered,
    rename_steps,
)

pytestmark = pytest.mark.spec("L2")


def nic(number: int, kind: Kind = "wired", name: str = "", permanent: bool = True) -> NetworkDevice:
    where = {
        "wired": f"pci0000:00/0000:00:{number:02x}.0",
        "usb": f"pci0000:00/0000:00:1f.0/usb1/1-{number}/1-{number}:1.0",
        "wifi": f"pci0000:00/0000:01:{number:02x}.0",
    }[kind]
    prefix = {"wired": "eth", "usb": "usb", "wifi": "wlan"}[kind]
    mac = f"02:00:00:00:{['wired', 'usb', 'wifi'].index(kind):02x}:{number:02x}"
    return NetworkDevice(name or f"{prefix}{number}", kind, where, mac, permanent=permanent)


@pytest.mark.parametrize(
    ("built_in", "usb", "names"),
    [
        (0, 0, []),
        (1, 0, ["mgmt0"]),
        (2, 0, ["mgmt0", "port1"]),
        (3, 0, ["mgmt0", "port1", "port2"]),
        (5, 0, ["mgmt0", "port1", "port2", "port3", "port4"]),
        (0, 1, ["mgmt0"]),
        (0, 3, ["mgmt0", "port1", "port2"]),
        (1, 1, ["port1", "mgmt0"]),
        (2, 1, ["port1", "port2", "mgmt0"]),
        (3, 1, ["mgmt0", "port1", "port2", "mgmt1"]),
        (4, 1, ["port1", "port2", "port3", "port4", "mgmt0"]),
        (2, 2, ["mgmt0", "port1", "port2", "port3"]),
        (3, 2, ["mgmt0", "port1", "port2", "port3", "port4"]),
    ],
)
def test_the_rule_for_a_first_start(built_in: int, usb: int, names: list[str]) -> None:
    devices = [nic(n) for n in range(1, built_in + 1)] + [nic(n, "usb") for n in range(1, usb + 1)]
    assigned = assign([nic(1, "wifi"), *reversed(devices)], {})
    assert [assigned[one.name] for one in devices] == names
    assert len(assigned) == len(devices)


def test_the_order_is_that_of_the_bus_with_numbers_as_numbers() -> None:
    paths = [
        "pci0000:00/0000:00:03.0/virtio2",
        "pci0000:00/0000:00:03.0/virtio10",
        "pci0000:00/0000:00:1c.0/0000:02:00.0",
        "pci0000:00/0000:00:1c.0/0000:02:00.1",
        "pci0000:00/0000:00:01.0/0000:0a:00.0",
        "pci0000:80/0000:80:01.0/0000:81:00.0",
    ]
    devices = [NetworkDevice(f"e{n}", "wired", path, "") for n, path in enumerate(paths)]
    usb = [
        NetworkDevice(f"u{n}", "usb", f"pci0000:00/0000:00:02.0/usb1/{path}", "")
        for n, path in enumerate(["1-2/1-2.1", "1-2/1-2.9", "1-2/1-2.10", "1-10"])
    ]
    card = [NetworkDevice(f"c{n}", "wired", "pci0000:90/0000:90:00.0", "", dev_port=n) for n in (0, 1, 2)]
    wanted = [*devices, *card, *usb]
    assert in_bus_order(reversed(wanted)) == wanted
    assert in_bus_order([nic(1, "wifi")]) == []


def test_names_stay_with_their_devices() -> None:
    devices = [nic(n) for n in range(1, 6)]
    known = remembered([nic(n, name=f"port{n}" if n > 1 else "mgmt0") for n in range(1, 6)], {})
    # the second one is late, and the others come under new names in another order
    assert assign([devices[4], devices[0], devices[2]], known) == {
        "eth5": "port5",
        "eth1": "mgmt0",
        "eth3": "port3",
    }


def test_a_usb_adapter_that_is_plugged_in_later_does_not_turn_management_into_measuring() -> None:
    known = {nic(1).mac: "mgmt0", nic(2).mac: "port1"}
    assert assign([nic(1), nic(2), nic(1, "usb")], known) == {
        "eth1": "mgmt0",
        "eth2": "port1",
        "usb1": "mgmt1",
    }
    assert assign([nic(1), nic(2), nic(1, "usb"), nic(2, "usb")], known)["usb2"] == "port3"


def test_a_replaced_card_takes_the_free_number_and_the_old_one_is_forgotten() -> None:
    known = {nic(1).mac: "mgmt0", nic(2).mac: "port1", nic(3).mac: "port2"}
    assert assign([nic(1), nic(7), nic(3)], known)["eth7"] == "port1"
    after = remembered([nic(1, name="mgmt0"), nic(7, name="port1"), nic(3, name="port2")], known)
    assert after == {nic(1).mac: "mgmt0", nic(7).mac: "port1", nic(3).mac: "port2"}


def test_an_absent_device_is_remembered() -> None:
    known = {nic(1).mac: "mgmt0", nic(2).mac: "port1"}
    assert remembered([nic(1, name="mgmt0")], known) == known


def test_without_management_everything_is_assigned_anew_but_only_at_start() -> None:
    known = {nic(1, "usb").mac: "mgmt0", nic(1).mac: "port1", nic(2).mac: "port2"}
    devices = [nic(1), nic(2)]
    assert assign(devices, known) == {"eth1": "mgmt0", "eth2": "port1"}
    assert assign(devices, known, running=True) == {"eth1": "port1", "eth2": "port2"}


def test_a_running_device_keeps_present_names_even_of_made_up_addresses() -> None:
    devices = [nic(1, name="port1", permanent=False), nic(2, name="mgmt0"), nic(3)]
    assert assign(devices, {}, running=True) == {"port1": "port1", "mgmt0": "mgmt0", "eth3": "port2"}


def test_an_address_that_two_devices_share_tells_nothing() -> None:
    twin = NetworkDevice("eth9", "wired", "pci0000:00/0000:00:09.0", nic(2).mac)
    known = {nic(1).mac: "mgmt0", nic(2).mac: "port2"}
    assert assign([nic(1), nic(2), twin], known) == {"eth1": "mgmt0", "eth2": "port1", "eth9": "port2"}


def test_what_has_no_address_of_its_own_is_known_by_its_place() -> None:
    twin = NetworkDevice("eth9", "wired", "pci0000:00/0000:00:09.0", nic(2).mac)
    made_up = nic(3, permanent=False)
    devices = [nic(1), nic(2), twin, made_up]
    wanted = assign(devices, {})
    known = remembered([dataclasses.replace(one, name=wanted[one.name]) for one in devices], {})
    assert known[nic(1).mac] == "mgmt0"
    assert sorted(key for key in known if key.startswith("place:")) == [
        f"place:{one.bus_path}:0" for one in (nic(2), made_up, twin)
    ]
    # the next start: the made-up address is another one, the other cards are missing but one
    assert assign([nic(1), dataclasses.replace(made_up, mac="02:ff:ff:ff:ff:ff")], known) == {
        "eth1": "mgmt0",
        "eth3": wanted["eth3"],
    }


def _three() -> list[NetworkDevice]:
    return [nic(1, name="mgmt0"), nic(2, name="port1"), nic(3, name="port2")]


def test_a_user_gives_other_names() -> None:
    assert reassigned(_three(), {"mgmt0": "port1", "port1": "mgmt0"}) == {
        "mgmt0": "port1",
        "port1": "mgmt0",
        "port2": "port2",
    }
    assert reassigned(_three(), {"port2": "mgmt1"})["port2"] == "mgmt1"


@pytest.mark.parametrize(
    ("changes", "place", "words"),
    [
        ({"port9": "port1"}, "port9", "There is no port port9."),
        ({"port1": "eth0"}, "port1", "eth0 is no name of a port."),
        ({"port1": "port0"}, "port1", "port0 is no name of a port."),
        ({"port1": "port2"}, "port1", "Two ports would be port2."),
        ({"mgmt0": "port7"}, "mgmt0", "No port would be mgmt0"),
    ],
)
def test_names_that_cannot_be_are_refused(changes: dict[str, str], place: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        reassigned(_three(), changes)
    assert caught.value.place == place
    assert caught.value.remedy


def test_nonsense_that_is_known_is_ignored() -> None:
    assert assign([nic(1), nic(2)], {nic(1).mac: "eth0; rm", nic(2).mac: "port0"}) == {
        "eth1": "mgmt0",
        "eth2": "port1",
    }


def apply(names: list[str], steps: list[tuple[str, str]]) -> list[str]:
    """What the kernel does; raises when a name is taken."""
    now = list(names)
    for old, new in steps:
        assert new not in now, f"{new} is taken"
        now[now.index(old)] = new
    return now


@given(st.permutations(["mgmt0", "port1", "port2", "port3", "eth0", "eth1"]))
def test_every_exchange_of_names_works(order: list[str]) -> None:
    names = ["mgmt0", "port1", "port2", "port3"]
    wanted = dict(zip(names, order, strict=False))
    assert apply(names, rename_steps(wanted)) == [wanted[name] for name in names]


def test_named_already_means_nothing_to_do() -> None:
    assert rename_steps({"mgmt0": "mgmt0", "port1": "port1"}) == []
    assert all(len(new) < 16 for _, new in rename_steps({"a": "b", "b": "a"}))  # IFNAMSIZ


def test_ports_are_told_apart_by_name_and_counted_by_number() -> None:
    names = ["port10", "port2", "mgmt1", "mgmt0", "br1", "wlan0", "portal"]
    assert measuring(names) == ["port2", "port10"]
    assert management(names) == ["mgmt0", "mgmt1"]


class FakeSysfs:
    """Directories like those of the kernel."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "class/net").mkdir(parents=True)
        self._drivers = itertools.count()

    def add(self, name: str, path: str, *, type_: str = "1", driver: str = "", wifi: bool = False) -> Path:
        device = self.root / "devices" / path
        entry = device / "net" / name
        entry.mkdir(parents=True)
        (self.root / "class/net" / name).symlink_to(entry)
        if "virtual" not in path:
            (entry / "device").symlink_to(device)
        (entry / "type").write_text(f"{type_}\n")
        (entry / "address").write_text("52:54:00:12:34:56\n")
        (entry / "addr_assign_type").write_text("0\n")
        if driver:
            (self.root / "bus" / driver).mkdir(parents=True)
            (device / "driver").symlink_to(self.root / "bus" / driver)
        if wifi:
            (entry / "phy80211").mkdir()
        return entry


def test_devices_are_read_from_sysfs(tmp_path: Path) -> None:
    sysfs = FakeSysfs(tmp_path)
    sysfs.add("lo", "virtual", type_="772")
    sysfs.add("br0", "virtual/br0")
    sysfs.add("ens3", "pci0000:00/0000:00:03.0/virtio2", driver="virtio_net")
    sysfs.add("enx1", "pci0000:00/0000:00:04.0/usb2/2-1/2-1:1.0", driver="r8152")
    sysfs.add("wlan0", "pci0000:00/0000:00:04.0/usb2/2-2/2-2:1.0", wifi=True)
    second = sysfs.add("ens4", "pci0000:00/0000:00:05.0")
    (second / "dev_port").write_text("1\n")
    (second / "addr_assign_type").write_text("1\n")
    devices = {one.name: one for one in read_devices(tmp_path)}
    assert {name: one.kind for name, one in devices.items()} == {
        "ens3": "wired",
        "enx1": "usb",
        "wlan0": "wifi",
        "ens4": "wired",
    }
    assert devices["ens3"].driver == "virtio_net"
    assert devices["ens3"].bus_path == "pci0000:00/0000:00:03.0/virtio2"
    assert devices["ens3"].mac == "52:54:00:12:34:56"
    assert (devices["ens4"].dev_port, devices["ens4"].permanent) == (1, False)
