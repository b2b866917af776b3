"""WiFi of the image with simulated radios: a phone in the device's network, and the device in another one."""

import re
from typing import Any

import pytest

from tests.conftest import Lab
from tests.harness.device import ApiRefusedError
from tests.harness.radios import Neighbour, Radios, wait_state
from tests.harness.waiting import wait_for

PASSWORD = "Allegro-MM"
OFFICE = "Büro"
OFFICE_PASSWORD = "correct horse"
CERTIFICATE = "/data/web/certificate.pem"
PROBES = {
    "Android": ("http://connectivitycheck.gstatic.com/generate_204", 204, ""),
    "iOS": ("http://captive.apple.com/hotspot-detect.html", 200, "<BODY>Success</BODY>"),
    "macOS": ("http://captive.apple.com/", 200, "<BODY>Success</BODY>"),
    "Windows": ("http://www.msftconnecttest.com/connecttest.txt", 200, "Microsoft Connect Test"),
    "Firefox": ("http://detectportal.firefox.com/canonical.html", 200, "captive-portal"),
}
"""What each asks, with status and words of the answer that means the internet is there."""


def check_in_the_network(lab: Lab, phone: Neighbour) -> None:
    """Address, name, page, and nothing else."""
    lease = phone.lease()
    assert re.fullmatch(r"192\.168\.78\.1\d\d", lease["ip"]), lease
    assert (lease["dns"], lease["router"]) == ("192.168.78.1", "192.168.78.1")
    pages = ("http://allegro/", "https://allegro/", "http://192.168.78.1/")
    for steps in phone.fetch(CERTIFICATE, *pages):
        assert {step["address"] for step in steps} <= {"192.168.78.1", ""}
        assert steps[-1]["url"].startswith("https://"), steps
        assert steps[-1]["status"] == 200
        assert "Log in" in steps[-1]["text"]
    check_probes(lab, phone)
    stations = lab.device.get("/wifi")["clients"]
    assert [(each["name"], each["address"]) for each in stations] == [("phone", lease["ip"])]
    assert lab.machine.run("allegro wifi").stdout.count(lease["ip"]) == 1
    # The management network is reached by the device, but not through it.
    lab.machine.run("ping -c 1 -W 5 10.0.2.2")
    assert "100% packet loss" in phone.run("ping -c 2 -W 2 10.0.2.2", check=False)
    forwarding = lab.machine.run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/*/forwarding")
    assert set(forwarding.stdout.split()) == {"0"}


def check_probes(lab: Lab, phone: Neighbour) -> None:
    """Each system is led to a page that says where it is, and is content once somebody stays."""
    asked = [url for url, _, _ in PROBES.values()]
    for first, welcome in phone.fetch(CERTIFICATE, *asked):
        assert (first["address"], first["status"]) == ("192.168.78.1", 302)
        assert (welcome["url"], welcome["status"]) == ("http://192.168.78.1/welcome", 200)
        assert f"You are in the WiFi of {lab.device.status()['name']}" in welcome["text"]
    stay, *answers = phone.fetch(CERTIFICATE, "POST http://192.168.78.1/welcome/stay", *asked)
    assert "stays connected" in stay[-1]["text"]
    for (system, (_, status, words)), (answer,) in zip(PROBES.items(), answers, strict=True):
        assert (answer["address"], answer["status"]) == ("192.168.78.1", status), system
        assert words in answer["text"], system
    assert phone.look_up("dns.msftncsi.com") == {"131.107.255.255"}, "Windows asks for this, too"
    assert phone.is_joined()
    assert "CTRL-EVENT-DISCONNECTED" not in phone.words()


def process_of(lab: Lab, unit: str) -> str:
    """Number of the unit's main process."""
    return lab.machine.run(f"systemctl show --property MainPID --value {unit}").stdout.strip()


def check_rights(lab: Lab, unit: str) -> None:
    """The program runs as its own user, without more capabilities than the network needs."""
    pid = process_of(lab, unit)
    status = lab.machine.run(f"cat /proc/{pid}/status").stdout
    assert lab.machine.run(f"stat -c %U /proc/{pid}").stdout.strip() == "allegro-wifi"
    effective = int(re.findall(r"CapEff:\s*([0-9a-f]+)", status)[0], 16)
    assert effective & ~(1 << 10 | 1 << 12 | 1 << 13) == 0  # NET_BIND_SERVICE, NET_ADMIN, NET_RAW


def first_passwords(lab: Lab) -> list[str]:
    problems = lab.device.status()["problems"]
    return [each["text"] for each in problems if each["id"] == "first-passwords"]


def check_own_password(lab: Lab, phone: Neighbour, ssid: str) -> None:
    """Set up over this network: who is in stays in, both passwords hold, then the new one alone."""

    def join(password: str, key_management: str = "WPA-PSK") -> None:
        phone.leave()
        phone.join(ssid, password, key_management)
        wait_for(phone.is_joined, f"joining with {password} ({key_management})", 60)

    assert "page and WiFi" in first_passwords(lab)[0]
    phone.join(ssid, PASSWORD)
    wait_for(phone.is_joined, "joining with the first password", 60)
    phone.lease()
    before, own = process_of(lab, "allegro-wifi-access-point"), phone.set_up("192.168.78.1", "of the owner")
    assert re.fullmatch(r"[a-z]{4}(-[a-z]{4}){5}", own), own
    wait_for(lambda: lab.device.get("/wifi")["both_passwords_s"], "both passwords", 30)
    assert first_passwords(lab) == []
    assert lab.device.get("/network")["confirm_within_s"] is None
    assert "CTRL-EVENT-DISCONNECTED" not in phone.words(), "who did this was cut off"
    assert "0% packet loss" in phone.run("ping -c 1 -W 10 192.168.78.1")
    join(PASSWORD)
    assert lab.device.get("/wifi")["both_passwords_s"] > 3000
    join(own)
    wait_for(lambda: lab.device.get("/wifi")["both_passwords_s"] is None, "the end of the first password", 30)
    assert phone.is_joined()
    assert process_of(lab, "allegro-wifi-access-point") == before
    phone.leave()
    phone.join(ssid, PASSWORD)
    wait_for(lambda: "reason=WRONG_KEY" in phone.words(), "the refusal of the first password", 60)
    join(own, "SAE")
    phone.leave()


@pytest.mark.spec("N2", "N5", "N8", "L3", "S6")
def test_access_point(lab: Lab) -> None:
    radios = Radios(lab.machine)
    assert lab.device.get("/wifi")["state"] == "no-adapter"
    radios.plug_in()
    wifi = wait_state(lab.device.get, "on")
    assert (wifi["ssid"], wifi["security"]) == (lab.device.status()["name"], "wpa2-wpa3")
    assert wifi["addresses"][0] == "192.168.78.1/24"
    phone = Neighbour(lab.machine)

    phone.join(wifi["ssid"], "Allegro-mm")
    wait_for(lambda: "reason=WRONG_KEY" in phone.words(), "the refusal", 60)
    assert not phone.is_joined()
    assert lab.device.get("/wifi")["clients"] == []
    phone.leave()

    phone.join(wifi["ssid"], PASSWORD)
    wait_for(phone.is_joined, "joining by WPA2", 60)
    check_in_the_network(lab, phone)
    phone.leave()

    phone.join(wifi["ssid"], PASSWORD, "SAE")
    wait_for(phone.is_joined, "joining by WPA3", 60)
    phone.lease()
    phone.leave()
    check_rights(lab, "allegro-wifi-access-point")
    check_rights(lab, "allegro-wifi-dhcp")

    check_own_password(lab, phone, wifi["ssid"])

    # The supervisor starts again, and the access point does not notice.
    before = process_of(lab, "allegro-wifi-access-point")
    lab.machine.run("systemctl restart allegro-supervisor", 120)
    wait_state(lab.device.get, "on")
    assert process_of(lab, "allegro-wifi-access-point") == before
    assert lab.device.get("/wifi")["ssid"] == wifi["ssid"]

    # Changed settings: another name, password, channel and subnet.
    changed = {"ssid": "Mess wagen", "password": "another one", "channel": 11, "address": "10.77.0.1/24"}
    assert lab.device.set({"wifi": {"access_point": changed}})["confirm_within_s"] is not None
    wait_for(lambda: lab.device.get("/wifi")["ssid"] == "Mess wagen", "the new name", 60)
    wifi = wait_state(lab.device.get, "on")
    assert (wifi["channel"], wifi["addresses"][0]) == (11, "10.77.0.1/24")
    phone.join("Mess wagen", "another one")
    wait_for(phone.is_joined, "joining with the new password", 60)
    assert phone.lease()["ip"].startswith("10.77.0.1")
    lab.device.post("/network/confirm")

    # A mistake: nobody can confirm it over this network, and it comes back by itself.
    before = process_of(lab, "allegro-wifi-access-point")
    lab.device.set({"wifi": {"mode": "off"}, "management": {"confirm_s": 20}})
    wait_for(lambda: "nobody confirmed" in lab.device.get("/network")["taken_back"], "the way back", 120)
    assert wait_state(lab.device.get, "on")["ssid"] == "Mess wagen"
    assert process_of(lab, "allegro-wifi-access-point") != before, "it has not been off in between"
    lab.device.set({"management": {"confirm_s": 3600}})

    radios.unplug()
    assert wait_state(lab.device.get, "no-adapter")["adapter"] is None
    active = "systemctl is-active allegro-wifi-access-point allegro-wifi-dhcp"
    assert "\nactive" not in "\n" + lab.machine.run(active, check=False).stdout
    radios.plug_in()
    assert wait_state(lab.device.get, "on")["ssid"] == "Mess wagen"

    # What the rules of the air do not allow is told, and stops the access point.
    lab.device.set({"wifi": {"country": "US", "access_point": {"channel": 13}}})
    failed = wait_state(lab.device.get, "failed")
    assert "channel 13 cannot be used in United States" in failed["message"]
    assert "wifi" in [problem["id"] for problem in lab.device.status()["problems"]]
    lab.device.set({"wifi": {"mode": "off"}})
    assert wait_state(lab.device.get, "off")["ssid"] == ""
    assert lab.machine.run("cat /sys/class/net/wifi0/operstate").stdout.strip() == "down"


def networks_around(lab: Lab) -> list[dict[str, Any]]:
    """One look. On a busy host the guest may hear nothing in the 30 ms of a channel, or too late."""
    try:
        networks: list[dict[str, Any]] = lab.device.post("/wifi/scan")["scan"]["networks"]
    except ApiRefusedError as error:
        if "not within" not in error.message:
            raise
        return []
    return networks


def check_own_password_by_wpa3(lab: Lab, phone: Neighbour, ssid: str) -> None:
    """Who is in comes back by the key that both have; who comes newly needs the new password."""
    phone.join(ssid, PASSWORD, "SAE")
    wait_for(phone.is_joined, "joining by WPA3", 60)
    phone.lease()
    own = phone.set_up("192.168.78.1", "of the owner")
    wait_for(lambda: lab.device.get("/wifi")["both_passwords_s"], "both passwords", 30)
    wait_for(lambda: phone.words().count("CTRL-EVENT-CONNECTED") == 2, "coming back", 60)
    phone.leave()
    phone.join(ssid, own, "SAE")
    wait_for(lambda: "CTRL-EVENT-CONNECTED" in phone.words(), "joining with the new password by WPA3", 60)
    wait_for(lambda: lab.device.get("/wifi")["both_passwords_s"] is None, "the end of the first password", 30)
    phone.leave()


@pytest.mark.spec("N2", "S6")
def test_client(lab: Lab) -> None:
    radios = Radios(lab.machine)
    with pytest.raises(ApiRefusedError, match="There is no WiFi adapter"):
        lab.device.post("/wifi/scan")
    radios.plug_in()
    wifi = wait_state(lab.device.get, "on")
    office = Neighbour(lab.machine)
    check_own_password_by_wpa3(lab, office, wifi["ssid"])
    office.be_access_point(OFFICE, OFFICE_PASSWORD, "10.99.0.1/24", "10.99.0.50,10.99.0.60,1h")

    found = wait_for(lambda: networks_around(lab), "the other network", 240, 1)
    assert [(each["ssid"], each["security"], each["channel"]) for each in found] == [(OFFICE, "wpa2", 11)]
    scan = "allegro wifi scan"
    wait_for(
        lambda: OFFICE in lab.machine.run(scan, 120, check=False).stdout, f"the network in {scan}", 240, 1
    )

    lab.device.set({"wifi": {"mode": "client", "client": {"ssid": OFFICE, "password": "wrong horse"}}})
    refused = wait_state(lab.device.get, "refused")
    assert "password" in refused["remedy"]
    lab.device.set({"wifi": {"client": {"password": OFFICE_PASSWORD}}})
    wait_state(lab.device.get, "connected")
    lab.device.post("/network/confirm")
    wait_for(lambda: lab.device.get("/wifi")["addresses"], "an address", 60)
    wifi = lab.device.get("/wifi")
    assert re.match(r"10\.99\.0\.(5\d|60)/24", wifi["addresses"][0])
    assert (wifi["ssid"], wifi["message"]) == (OFFICE, "")
    assert -100 < wifi["signal_dbm"] < 0
    check_rights(lab, "allegro-wifi-client")
    lab.machine.run("ping -c 1 -W 5 10.99.0.1")
    wait_for(lambda: networks_around(lab), "the other network, being in it", 240, 1)

    radios.unplug()
    wait_state(lab.device.get, "no-adapter")
    radios.plug_in()
    assert wait_state(lab.device.get, "connecting")["ssid"] == OFFICE
    lab.device.set({"wifi": {"mode": "access-point"}})
    assert wait_state(lab.device.get, "on")["clients"] == []
