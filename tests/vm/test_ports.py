"""Ports come, go, come back, and get other names while the device runs."""

from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.harness.frames import series
from tests.harness.qemu import mac_address
from tests.harness.waiting import wait_for


def _ports(lab: Lab) -> dict[str, dict[str, object]]:
    return {port["name"]: port for port in lab.device.get("/network")["ports"]}


def _place(lab: Lab, port: str) -> str:
    """The PCI device of a port, in sysfs."""
    return lab.machine.run(f"readlink -f /sys/class/net/{port}/device").stdout.strip()


def _remove(lab: Lab, port: str) -> None:
    lab.machine.run(f"echo 1 > {_place(lab, port)}/remove")
    wait_for(lambda: not _ports(lab)[port]["present"], f"{port} to be missed", 30)


def _rescan(lab: Lab) -> None:
    lab.machine.run("echo 1 > /sys/bus/pci/rescan", timeout=120)


@pytest.mark.spec("L2", "R1", "N1")
def test_a_port_that_vanishes_takes_its_place_again(lab: Lab, tmp_path: Path) -> None:
    left, right = lab.ports
    before = list(series(50))
    left.send_all(before)
    right.wait_frames(before)
    # The first management port comes back late, too, and with it the device's name.
    _remove(lab, "port1")
    _remove(lab, "mgmt0")
    lab.machine.run("hostname allegro-mm")
    assert _ports(lab)["port2"]["link"] == "", "without its partner it only receives"
    _rescan(lab)
    wait_for(lambda: _ports(lab)["port1"]["link_up"] and _ports(lab)["mgmt0"]["link_up"], "both ports", 60)
    ports = _ports(lab)
    assert (ports["port1"]["key"], ports["port1"]["link"]) == (mac_address(1), "br1")
    wait_for(lambda: lab.machine.run("hostname").stdout.strip() == "allegro-mm-1e00", "the host name", 60)
    assert lab.device.status()["name"] == "allegro-mm-1e00"
    wait_for(lambda: _passes(lab), "the link forwards again", 60)
    wait_for(lambda: "port1" in _recorded(lab), "port1 to be recorded again", 30)
    lab.ports[1].clear()
    after = list(series(200, number=2))
    left.send_all(after)
    assert [frame for frame in right.wait_frames(after) if frame in after] == after
    capture = lab.device.capture(tmp_path, before_s=300)
    recorded = [packet.data for packet in capture.packets]
    assert [frame for frame in recorded if frame in after] == after


def _recorded(lab: Lab) -> set[str]:
    return {port["name"] for port in lab.device.get("/ring")["ports"] if port["link_up"]}


def _passes(lab: Lab) -> bool:
    probe = next(series(1, number=99))
    lab.ports[0].send(probe)
    return any(frame == probe for _, frame in lab.ports[1].frames())


@pytest.mark.spec("L2", "N1")
def test_usb_adapter_and_other_names(lab: Lab) -> None:
    device = lab.device
    # A USB adapter that is the only one is spare: for management.
    lab.machine.qmp("netdev_add", type="user", id="usb-net", net="10.0.9.0/24")
    mac = "52:54:00:a1:1e:99"
    lab.machine.add_device("usb-net", "usb-net", netdev="usb-net", bus="usb.0", mac=mac)
    second = wait_for(lambda: _ports(lab).get("mgmt1"), "the USB adapter", 60)
    assert (second["role"], second["kind"], second["key"]) == ("management", "usb", mac)
    interface = wait_for(
        lambda: next(
            (
                one
                for one in device.get("/network")["management"]
                if one["name"] == "mgmt1" and any(a["source"] == "DHCPv4" for a in one["addresses"])
            ),
            None,
        ),
        "an address by DHCP",
        60,
    )
    assert interface["addresses"][0]["address"].startswith("10.0.9.")
    assert device.api("POST", "/network/ports/port1/blink", {"seconds": 1}) is None, "its card has a light"
    assert "mgmt1" not in _recorded(lab)

    # Two measuring ports change places: what nobody is locked out by counts at once.
    left, right = lab.ports
    answer = device.api("PUT", "/network/ports", {"names": {"port2": "port3", "port3": "port2"}})
    assert answer["confirm_within_s"] is None
    wait_for(lambda: _ports(lab)["port3"]["key"] == mac_address(2), "the new names", 30)
    wait_for(lambda: {"port1", "port2", "port3", "port4"} <= _recorded(lab), "all to be recorded", 30)
    probe = list(series(20, number=5))
    right.clear()
    left.send_all(probe)
    assert not [frame for _, frame in right.frames() if frame in probe], "its cable is in port 3 now"
    device.api("PUT", "/network/ports", {"names": {"port2": "port3", "port3": "port2"}})
    wait_for(lambda: _passes(lab), "the link as before", 60)

    # With a management port the change waits for confirmation, and can be taken back.
    answer = device.api("PUT", "/network/ports", {"names": {"mgmt1": "port5"}})
    assert answer["confirm_within_s"] is not None
    wait_for(lambda: "port5" in _recorded(lab), "the adapter to be recorded", 30)
    assert device.post("/network/take-back")["confirm_within_s"] is None
    wait_for(lambda: "mgmt1" in _ports(lab) and "port5" not in _recorded(lab), "the old name", 30)

    # Unplugged, its name is kept for it.
    lab.machine.remove_device("usb-net")
    wait_for(lambda: not _ports(lab)["mgmt1"]["present"], "the adapter to be missed", 30)
