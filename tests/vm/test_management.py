"""The management port: DHCP server, changes with a way back, temporary address, mDNS, BMC, open ports."""

import dataclasses
import ipaddress
import json
import re
import time
from typing import Literal

import pytest

from tests.conftest import Lab, StartLab
from tests.harness import ipmi_bmc
from tests.harness.desk import Desk
from tests.harness.device import ApiRefusedError
from tests.harness.ipmi_bmc import Bmc
from tests.harness.namespaces import Namespace
from tests.harness.ports import TapPort
from tests.harness.qemu import mac_address
from tests.harness.waiting import wait_for

FIRST = "10.0.2.15"
"""What QEMU's own network has given to the device of the saved state."""
NAME = "allegro-mm-1e00.local"
PASSWORD = "correct horse battery"

WAITS_S = 60
"""So long a change can be confirmed where nobody does: on a busy host it is in force only after a while."""

DOCUMENTED_TCP = {"80/tcp", "443/tcp"}
DOCUMENTED_UDP = {68, 546, 5353}
"""DHCP client, DHCPv6 client, mDNS (docs/manual/network.md)."""


def _has(lab: Lab, address: str) -> bool:
    shown = lab.device.get("/network")["management"]
    return any(one["address"].partition("/")[0] == address for port in shown for one in port["addresses"])


def _server(address: str, **more: str) -> dict[str, dict[str, str]]:
    return {"management": {"mode": "server", "address": address, **more}}


def _whole_time_since(began: float, confirm_within_s: float, whole: float = 120) -> bool:
    """Whether a change made since `began` can be confirmed for the whole time, which runs while it is made.

    The device has 120 s by itself.
    """
    return whole - (time.monotonic() - began) - 1 < confirm_within_s <= whole


@pytest.mark.spec("N1", "N3", "N5", "N6", "T3")
def test_dhcp_server_and_what_a_power_cut_leaves(start_lab: StartLab, desk: Desk) -> None:
    """One restart for all that has to survive it, or must not. The new machine has a BMC."""
    lab = start_lab(management=desk.port)
    device = lab.device
    device.set(_server("192.168.5.1/24", lease_first="192.168.5.50", lease_last="192.168.5.59"))
    device.post("/network/confirm")
    lease = desk.ask_dhcp()
    assert 50 <= int(ipaddress.IPv4Address(lease["ip"])) & 0xFF <= 59
    assert (lease["subnet"], lease["serverid"]) == ("255.255.255.0", "192.168.5.1")
    assert "router" not in lease
    desk.address(f"{lease['ip']}/24")
    desk.wait_reaches("192.168.5.1")

    device.set({"time": {"zone": "America/New_York"}})
    assert device.post("/network/temporary-address")["address"] == "192.168.77.1/24"
    began = time.monotonic()
    answer = device.set(_server("192.168.6.1/24", lease_first="", lease_last=""))
    assert _whole_time_since(began, answer["confirm_within_s"])

    lab.machine.cut_power()
    controller = Bmc()
    try:
        lab.machine.configuration = dataclasses.replace(
            lab.machine.configuration, extra_arguments=controller.arguments
        )
        lab.machine.start()
        controller.connect()
        device.wait_ready()
        network = wait_for(
            lambda: (shown := device.get("/network"))["taken_back"] and shown,
            "the unconfirmed change to be taken back",
            60,
        )
        assert network["taken_back"] == "because the device restarted"
        assert network["temporary_address"] is None
        settings = device.get("/settings")["management"]
        assert (settings["mode"], settings["address"], settings["lease_first"]) == (
            "server",
            "192.168.5.1/24",
            "192.168.5.50",
        )
        again = desk.ask_dhcp()
        assert again["serverid"] == "192.168.5.1"
        desk.wait_reaches("192.168.5.1")
        assert device.get("/time")["utc_offset"] in ("-05:00", "-04:00")
        assert lab.machine.run("date +%Z").stdout.strip() in ("EST", "EDT")
        _check_bmc(lab, controller)
    finally:
        controller.close()


def _check_bmc(lab: Lab, controller: Bmc) -> None:
    assert lab.device.get("/bmc") == {
        "present": True,
        "source": "dhcp",
        "address": "",
        "gateway": "",
        "mac": "52:54:00:b0:0b:00",
    }
    wanted = {"source": "static", "address": "192.0.2.9/24", "gateway": "192.0.2.1"}
    assert lab.device.api("PUT", "/bmc", wanted) == {"present": True, "mac": "52:54:00:b0:0b:00", **wanted}
    assert controller.lan[ipmi_bmc.SOURCE] == bytes([ipmi_bmc.STATIC])
    assert [controller.address(which) for which in (ipmi_bmc.ADDRESS, ipmi_bmc.MASK, ipmi_bmc.GATEWAY)] == [
        "192.0.2.9",
        "255.255.255.0",
        "192.0.2.1",
    ]
    with pytest.raises(ApiRefusedError) as caught:
        lab.device.api("PUT", "/bmc", {"source": "static", "address": "192.0.2.0/24"})
    assert caught.value.place == "address"
    shown = lab.machine.run("allegro bmc").stdout
    assert "192.0.2.9/24" in shown


@pytest.mark.spec("N5", "N1", "W1")
def test_a_wrong_address_is_taken_back_and_a_confirmed_one_stays(start_lab: StartLab, desk: Desk) -> None:
    lab = start_lab(management=desk.port)
    device = lab.device
    desk.wait_reaches(FIRST)
    desk.choose_password(FIRST, PASSWORD)

    # confirmed by the page, at the new address
    desk.address("10.0.2.2/24", "192.168.5.2/24")
    device.set({"management": {"mode": "static", "address": "192.168.5.1/24", "confirm_s": 100}})
    desk.wait_reaches("192.168.5.1")
    assert not desk.reaches(FIRST)
    as_admin = ("--user", f"admin:{PASSWORD}", "--request", "POST")
    confirmed = json.loads(desk.curl("https://192.168.5.1/api/network/confirm", *as_admin))
    assert confirmed["confirm_within_s"] is None, confirmed

    # with nobody there to confirm
    device.set({"management": {"confirm_s": WAITS_S}})
    began = time.monotonic()
    answer = device.set({"management": {"address": "203.0.113.9/24"}})
    assert _whole_time_since(began, answer["confirm_within_s"], WAITS_S)
    wait_for(lambda: _has(lab, "203.0.113.9"), "the wrong address", 60, 1)
    assert not desk.reaches("192.168.5.1")
    while time.monotonic() < began + WAITS_S - 10:
        assert device.get("/network")["confirm_within_s"] is not None
        time.sleep(10)
    desk.wait_reaches("192.168.5.1", 60)
    print(f"the old address answers {time.monotonic() - began:.0f} s after the wrong one was set")
    network = device.get("/network")
    assert network["confirm_within_s"] is None
    assert network["taken_back"] == "because nobody confirmed them in time"
    assert device.get("/settings")["management"]["address"] == "192.168.5.1/24"
    with pytest.raises(ApiRefusedError) as caught:
        device.post("/network/confirm")
    assert caught.value.status == 409


@pytest.mark.spec("N3")
def test_the_temporary_address_gives_way_to_others(start_lab: StartLab, desk: Desk) -> None:
    lab = start_lab(management=desk.port)
    device = lab.device
    # There is no DHCP server at the desk that would give the address again when the cable is back.
    device.set({"management": {"mode": "static", "address": f"{FIRST}/24"}})
    device.post("/network/confirm")
    # without a cable nobody can be asked
    lab.machine.set_link("management", False)
    wait_for(lambda: not device.get("/network")["ports"][0]["link_up"], "no link", 30)
    claim = device.post("/network/temporary-address")
    assert (claim["address"], claim["probed"]) == ("192.168.77.1/24", False)
    # somebody has it, and the next one
    desk.address("10.0.2.2/24", "192.168.77.1/24", "192.168.77.2/24")
    lab.machine.set_link("management", True)
    claim = wait_for(
        lambda: (now := device.get("/network")["temporary_address"])["probed"] and now,
        "the address to be asked for",
        90,
        1,
    )
    assert claim["address"] == "192.168.77.3/24"
    assert device.post("/network/temporary-address") == claim, "once claimed, it stays"
    desk.wait_reaches("192.168.77.3")
    actions = {one["name"]: one for one in device.status()["actions"]}
    assert "192.168.77" in actions["temporary-address"]["text"]
    wait_for(lambda: _has(lab, FIRST), "the own address", 30)
    known = desk.namespace.run(["ip", "neighbour", "show", "192.168.77.3"]).stdout
    assert mac_address(0) in known
    # nobody gives addresses unless asked to
    assert lab.machine.run("ss -Hlun 'sport = :67'").stdout == ""
    assert device.post("/network/temporary-address", {"dhcp_server": True})["dhcp_server"]
    lease = desk.ask_dhcp()
    assert (lease["ip"].rpartition(".")[0], lease["serverid"]) == ("192.168.77", "192.168.77.3")
    device.api("DELETE", "/network/temporary-address")
    wait_for(lambda: not _has(lab, "192.168.77.3"), "the address to go", 30)


def _open(lab: Lab, protocol: Literal["t", "u"]) -> set[int]:
    """TCP or UDP ports of the device that are open to others, of all there are."""
    lines = lab.machine.run(f"ss -Hln{protocol}").stdout.splitlines()
    local = [line.split()[3] for line in lines]
    return {int(one.rpartition(":")[2]) for one in local if not one.startswith(("127.", "[::1]"))}


@pytest.mark.spec("L3", "N1")
def test_management_and_measuring_never_mix(start_lab: StartLab, desk: Desk) -> None:
    space = Namespace(f"{desk.namespace.name}-measured")
    cable = TapPort(space)
    try:
        lab = start_lab(management=desk.port, ports=[cable])
        desk.wait_reaches(FIRST)
        # from management: what is documented
        some = ["-p", "1-1100,5353,8080,8443"]
        found = desk.scan(FIRST, "-sS", *some, "--min-rate", "1500", "--max-retries", "6")
        assert {port for port, state in found.items() if state == "open"} == DOCUMENTED_TCP
        assert {f"{port}/tcp" for port in _open(lab, "t")} == DOCUMENTED_TCP
        assert _open(lab, "u") <= DOCUMENTED_UDP
        closed = "53,67,123,161,631,5355"
        udp = desk.scan(FIRST, "-sU", "-p", f"{closed},5353", "--max-retries", "8")
        assert udp.pop("5353/udp") in ("open", "open|filtered")
        assert set(udp.values()) <= {"closed"}, udp
        assert desk.ask_mdns(NAME) == FIRST

        # from a measuring port: nothing, by ARP, by the port's own MAC address, by IPv6
        space.ip("address", "add", "10.0.2.9/24", "dev", "eth0")
        own = mac_address(1)
        assert space.run(["ping", "-c3", "-i0.3", "-W1", FIRST], check=False).returncode == 1
        assert "REACHABLE" not in space.run(["ip", "neighbour", "show"]).stdout
        space.ip("neighbour", "replace", FIRST, "lladdr", own, "dev", "eth0")
        # by the kernel's own table of neighbours, and without asking for the host first
        anyhow = ["nmap", "-n", "-Pn", "--send-ip", "--disable-arp-ping", "--max-retries", "1"]
        shown = space.run([*anyhow, *some, "--min-rate", "1000", "-sS", FIRST], 300).stdout
        assert not re.findall(r"^\d+/tcp\s+(?:open|closed|unfiltered)\b", shown, re.MULTILINE), shown
        assert "filtered tcp ports (no-response)" in shown, shown
        shown = space.run([*anyhow, "-sU", "-p", "53,67,68,5353", FIRST], 120).stdout
        assert re.findall(r"^\d+/udp\s+(\S+)", shown, re.MULTILINE) == ["open|filtered"] * 4, shown
        link_local = "fe80::5054:ff:fea1:1e01"
        space.ip("-6", "neighbour", "replace", link_local, "lladdr", own, "dev", "eth0")
        ping6 = ["ping", "-6", "-c3", "-i0.3", "-W1"]
        # Who pings all nodes is one of them: only the answers of others count.
        space.sysctl("net.ipv6.icmp.echo_ignore_multicast", "1")
        assert space.run([*ping6, f"{link_local}%eth0"], check=False).returncode == 1
        assert space.run([*ping6, "ff02::1%eth0"], check=False).returncode == 1
    finally:
        cable.close()
        space.close()
