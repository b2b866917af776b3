"""WiFi in the guest: simulated radios (mac80211_hwsim), one of them somebody else's in a namespace.

The other end uses the programs of the image (wpa_supplicant, hostapd, dnsmasq, Python) and busybox's DHCP
client, which is brought along.
"""

import json
import shlex
from pathlib import Path
from typing import Any

from tests.harness.bench_errors import BenchError
from tests.harness.qemu import VirtualMachine
from tests.harness.waiting import wait_for

BUSYBOX = Path("/usr/bin/busybox")
_FOLDER = "/run/bench-wifi"
_PROXY_PORT = 1080

_LEASE_SCRIPT = """\
#!/bin/sh
# Called by udhcpc: keeps what the lease says, and sets address and route.
[ "$1" = bound ] || exit 0
env >FOLDER/lease
ip address flush dev "$interface"
ip address add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "$router"
: >FOLDER/resolv.conf
for server in $dns; do echo "nameserver $server" >>FOLDER/resolv.conf; done
"""

# Opens pages as a browser would (or posts an empty form); prints addresses and answers on the way to each as
# JSON. Certificates are checked against the given one, names included.
_FETCH = """
import http.client, json, socket, ssl, sys, urllib.parse
authority, *urls = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
ways = []
for asked in urls:
    method, _, url = asked.rpartition(" ")
    steps = []
    for _ in range(5):
        parts = urllib.parse.urlsplit(url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(parts.hostname, timeout=30, **({"context": context} if secure else {}))
        connection.connect()
        address = connection.sock.getpeername()[0]
        connection.request(method or "GET", parts.path or "/")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        step = {"url": url, "address": address, "status": answer.status, "text": text}
        steps.append(step)
        if answer.status // 100 != 3:
            break
        method, url = "GET", urllib.parse.urljoin(url, answer.headers["Location"])
    ways.append(steps)
print(json.dumps(ways))
"""


# The first login, as a browser does it; prints the WiFi password that the page shows.
_SET_UP = """
import http.client, re, ssl, sys, urllib.parse
host, new = sys.argv[1:]
cookies = {}
def ask(method, path, **form):
    connection = http.client.HTTPSConnection(host, timeout=60, context=ssl._create_unverified_context())
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
               "Origin": f"https://{host}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request(method, path, urllib.parse.urlencode(form), headers)
    answer = connection.getresponse()
    for line in answer.headers.get_all("Set-Cookie", []):
        name, _, value = line.partition(";")[0].partition("=")
        cookies[name] = value
    return answer.status, answer.read().decode()
ask("POST", "/login", name="admin", password="allegro", next="")
page = ask("GET", "/password")[1]
csrf = re.search('name="csrf" value="([^"]+)"', page)[1]
made = re.search('id="wifi-password">([^<]+)<', page)[1]
status, text = ask("POST", "/password", csrf=csrf, password=new, again=new)
print(made if status == 303 else text)
"""


class Radios:
    """Simulated WiFi adapters: the device takes the first, `Neighbour` has the other."""

    def __init__(self, machine: VirtualMachine) -> None:
        self._machine = machine

    def plug_in(self) -> None:
        """Both adapters appear."""
        self._machine.run("modprobe mac80211_hwsim radios=2")

    def unplug(self) -> None:
        """Both adapters vanish."""
        self._machine.run("rmmod mac80211_hwsim")


class Neighbour:
    """Somebody else with a WiFi adapter: a phone, or another access point."""

    NAMESPACE = "neighbour"

    def __init__(self, machine: VirtualMachine) -> None:
        """Takes the adapter that the device does not use. Needs one."""
        self._machine = machine
        names = machine.run("ls -d /sys/class/net/*/phy80211").stdout.split()
        others = [name.split("/")[4] for name in names if name.split("/")[4] != "wifi0"]
        if not others:
            raise BenchError(f"no adapter is left for the neighbour: {names}")
        self.interface = others[0]
        phy = machine.run(f"cat /sys/class/net/{self.interface}/phy80211/name").stdout.strip()
        machine.run(
            f"mkdir -p {_FOLDER}; ip netns add {self.NAMESPACE}; iw phy {phy} set netns name {self.NAMESPACE}"
        )
        self.run("ip link set lo up")
        machine.push(BUSYBOX.read_bytes(), f"{_FOLDER}/busybox")
        machine.push(_LEASE_SCRIPT.replace("FOLDER", _FOLDER).encode(), f"{_FOLDER}/lease.sh")
        machine.push(_FETCH.encode(), f"{_FOLDER}/fetch.py")
        machine.push(_SET_UP.encode(), f"{_FOLDER}/set_up.py")
        machine.run(f"chmod 755 {_FOLDER}/busybox {_FOLDER}/lease.sh")

    def run(self, command: str, timeout: float = 60.0, *, check: bool = True) -> str:
        """Runs a command of the shell in the neighbour's namespace; its output."""
        inside = f"ip netns exec {self.NAMESPACE} sh -c {shlex.quote(command)}"
        return self._machine.run(inside, timeout, check=check).stdout

    # -- as a phone

    def join(self, ssid: str, password: str, key_management: str = "WPA-PSK") -> None:
        """Starts to join a network; `is_joined` tells whether that worked."""
        protection = 2 if key_management == "SAE" else 1
        text = f"""\
ctrl_interface={_FOLDER}/control
network={{
    ssid="{ssid}"
    psk="{password}"
    key_mgmt={key_management}
    ieee80211w={protection}
}}
"""
        self._machine.push(text.encode(), f"{_FOLDER}/join.conf")
        self.run(
            f"rm -f {_FOLDER}/join.log; wpa_supplicant -B -i {self.interface} -D nl80211"
            f" -c {_FOLDER}/join.conf -P {_FOLDER}/join.pid -f {_FOLDER}/join.log"
        )

    def leave(self) -> None:
        """Ends joining, and being in a network."""
        self.run(f"kill $(cat {_FOLDER}/join.pid); while [ -e {_FOLDER}/join.pid ]; do sleep 0.1; done")
        self.run(f"ip address flush dev {self.interface}; rm -f {_FOLDER}/lease")

    def words(self) -> str:
        """What wpa_supplicant has said since `join`."""
        return self._machine.run(f"cat {_FOLDER}/join.log").stdout

    def is_joined(self) -> bool:
        """Whether it is in the network, handshake done."""
        status = self.run(f"wpa_cli -p {_FOLDER}/control -i {self.interface} status", check=False)
        return "wpa_state=COMPLETED" in status

    def lease(self, timeout: float = 60.0) -> dict[str, str]:
        """Asks for an address by DHCP; what the lease says, as udhcpc names it."""
        options = f"-s {_FOLDER}/lease.sh -n -q -t 10 -T 2 -x hostname:phone"
        self.run(f"{_FOLDER}/busybox udhcpc -i {self.interface} {options}", timeout)
        lines = self._machine.run(f"cat {_FOLDER}/lease").stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def fetch(self, certificate: str, *urls: str) -> list[list[dict[str, Any]]]:
        """Opens pages with the name server of the lease: each step on the way to each of them.

        `certificate`: file in the guest; the one that the pages have to show. "POST " before a page presses a
        button there.
        """
        output = self._resolving(["python3", "-I", f"{_FOLDER}/fetch.py", certificate, *urls], 240)
        ways: list[list[dict[str, Any]]] = json.loads(output)
        return ways

    def look_up(self, name: str) -> set[str]:
        """IPv4 addresses of a name, asked of the name server of the lease."""
        return {line.split()[0] for line in self._resolving(["getent", "ahostsv4", name], 30).splitlines()}

    def _resolving(self, command: list[str], timeout: float) -> str:
        """Output of a program that asks the name server of the lease."""
        resolver = f"mount --bind {_FOLDER}/resolv.conf /etc/resolv.conf"
        inside = f"{resolver}; {shlex.join(command)}"
        return self.run(f"unshare --mount sh -ec {shlex.quote(inside)}", timeout)

    def proxy(self, timeout: float = 30.0) -> int:
        """Lets a browser of the bench be this phone's, as long as the guest runs; needs a lease.

        Returns the port of the host's loopback at which a SOCKS 5 proxy looks names up and connects as the
        phone does.
        """
        program = Path(__file__).with_name("guest_proxy.py").read_bytes()
        self._machine.push(program, f"{_FOLDER}/proxy.py")
        start = f"exec python3 -I {_FOLDER}/proxy.py {_PROXY_PORT} {self.NAMESPACE} >{_FOLDER}/asked 2>&1"
        inside = f"mount --bind {_FOLDER}/resolv.conf /etc/resolv.conf; {start}"
        self._machine.run(f"setsid unshare --mount sh -ec {shlex.quote(inside)} </dev/null >/dev/null 2>&1 &")
        listens = f"ss -Hltn 'sport = :{_PROXY_PORT}'"
        wait_for(lambda: self._machine.run(listens).stdout, "the phone's proxy", timeout)
        return self._machine.forward(_PROXY_PORT)

    def asked(self) -> set[str]:
        """What the phone's browser has asked for by `proxy`: name or address, and port."""
        return set(self._machine.run(f"cat {_FOLDER}/asked").stdout.split())

    def set_up(self, address: str, password: str) -> str:
        """The first login at the page, with a password of one's own; the WiFi password that it shows."""
        command = f"python3 -I {_FOLDER}/set_up.py {address} {shlex.quote(password)}"
        return self.run(command, 240).strip()

    # -- as another access point

    def be_access_point(self, ssid: str, password: str, address: str, leases: str) -> None:
        """An access point (WPA2) with DHCP: `address` with prefix length, `leases` as dnsmasq wants them."""
        text = f"""\
interface={self.interface}
driver=nl80211
ssid2={ssid.encode().hex()}
utf8_ssid=1
hw_mode=g
channel=11
wpa=2
wpa_key_mgmt=WPA-PSK
rsn_pairwise=CCMP
wpa_passphrase={password}
"""
        self._machine.push(text.encode(), f"{_FOLDER}/hostapd.conf")
        self.run(f"hostapd -B -f {_FOLDER}/hostapd.log {_FOLDER}/hostapd.conf")
        self.run(f"ip address add {address} dev {self.interface}")
        self.run(
            f"dnsmasq --conf-file=/dev/null --port=0 --interface={self.interface} --bind-interfaces"
            f" --user=root --dhcp-range={leases} --dhcp-authoritative --no-ping"
            f" --dhcp-leasefile={_FOLDER}/leases --pid-file={_FOLDER}/dnsmasq.pid"
        )


def wait_state(get: Any, *wanted: str, timeout: float = 60.0) -> dict[str, Any]:
    """Waits until GET /wifi (by `get`) shows one of these states; its answer."""
    last: dict[str, Any] = {}

    def reached() -> dict[str, Any] | None:
        last.clear()
        last.update(get("/wifi"))
        return last if last["state"] in wanted else None

    try:
        return wait_for(reached, f"WiFi {' or '.join(wanted)}", timeout, interval=0.5)
    except BenchError as error:
        raise BenchError(f"{error}; {last}") from error
