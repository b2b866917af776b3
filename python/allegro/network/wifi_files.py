"""Files for hostapd, wpa_supplicant, dnsmasq and systemd-networkd. Texts only, no I/O.

Names of networks are written in hex digits, so that no character of theirs has a meaning in a file.

A new device's password gives way to one of its own while phones are in its network. Until somebody has joined
with the new one both let in (`passwords`, `hold_both`, `hold_one`: hostapd 2.10, hostapd.conf and
hostapd.wpa_psk). By WPA2 that is so for everybody, as a handshake is tried with each key. By WPA3 (SAE) both
ends have to know the password before they prove it: the new one counts at once, and who is in with the old
one comes back by the key that both have kept (PMKSA caching).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from allegro import captive_probes
from allegro.network.wifi_adapters import NAME
from allegro.settings.wifi import AccessPoint, Band, Client

PAGE_NAME = "allegro"
"""`http://allegro/` opens the page in the device's own WiFi network."""

DOMAIN = "home.arpa"
"""RFC 8375. Some systems (Windows) ask a name server for a single word only with a domain behind it."""


@dataclass(frozen=True)
class Radio:
    """How the access point sends."""

    ssid: str
    band: Band
    channel: int
    country: str = ""
    wpa3: bool = False
    ac: bool = False


def hostapd(radio: Radio, password: str, control: str, more: str = "") -> str:
    """hostapd.conf. A password of 64 hex digits is the key of WPA2 itself, which WPA3 cannot use.

    `control`: folder of its control socket; `more`: a file of `passwords` that let in by WPA2, too.
    """
    is_key = is_wpa_key(password)
    wpa3 = radio.wpa3 and not is_key
    lines = [
        f"interface={NAME}",
        "driver=nl80211",
        f"ctrl_interface={control}",
        f"ssid2={radio.ssid.encode().hex()}",
        "utf8_ssid=1",
        f"hw_mode={'g' if radio.band == '2.4' else 'a'}",
        f"channel={radio.channel}",
        "ieee80211n=1",
        f"ieee80211ac={int(radio.ac and radio.band == '5')}",
        "wmm_enabled=1",
        "auth_algs=1",
        "wpa=2",
        f"wpa_key_mgmt=WPA-PSK{' SAE' if wpa3 else ''}",
        "rsn_pairwise=CCMP",
        f"{'wpa_psk' if is_key else 'wpa_passphrase'}={password}",
        # Devices in this network want the page, and nothing from each other.
        "ap_isolate=1",
    ]
    if more:
        lines.append(f"wpa_psk_file={more}")
    if wpa3:
        lines += ["ieee80211w=1", "sae_require_mfp=1"]
    if radio.country:
        lines += [f"country_code={radio.country}", "ieee80211d=1"]
    return "\n".join(lines) + "\n"


OWN_KEY = "own"
"""What hostapd calls the password of the device's own: `keyid` of who has joined with it."""


def passwords(*known: str) -> str:
    """A file of passwords that let everybody in by WPA2; the last one is the device's own."""
    names = ("first",) * (len(known) - 1) + (OWN_KEY,)
    lines = [f"keyid={name} 00:00:00:00:00:00 {each}" for name, each in zip(names, known, strict=True)]
    return "\n".join(["# allegro.network.wifi_files", *lines]) + "\n"


def can_change_running(password: str) -> bool:
    """Whether `hold_both` and `hold_one` can be said: a key changes what is offered, and in a password of
    WPA3 hostapd takes a word behind a bar for an option."""
    return not is_wpa_key(password) and "|" not in password


def hold_both(own: str, file: str) -> list[str]:
    """What to say to a hostapd that runs with a new device's password, so that its own one holds as well.

    `file`: where `passwords` of both lie. Who is in by WPA2 does not notice; who is in by WPA3 is put off, as
    hostapd finds no key of theirs in the list, and back after some seconds.
    """
    return [f"SET sae_password {own}", f"SET wpa_psk_file {file}", "RELOAD_WPA_PSK"]


def hold_one(own: str, file: str) -> list[str]:
    """What to say afterwards, with `passwords` of the own one alone: who came by the old one is put off."""
    return [f"SET wpa_psk_file {file}", f"SET wpa_passphrase {own}", "PMKSA_FLUSH", "RELOAD_WPA_PSK"]


def wpa_supplicant(client: Client, country: str, control: str) -> str:
    """wpa_supplicant.conf (wpa_supplicant.conf(5)); `control`: folder of its control socket."""
    lines = [f"ctrl_interface=DIR={control}", "update_config=0"]
    if country:
        lines.append(f"country={country}")
    lines += ["network={", f"  ssid={client.ssid.encode().hex()}", "  scan_ssid=1"]
    if not client.password:
        lines.append("  key_mgmt=NONE")
    elif is_wpa_key(client.password):
        lines += [f"  psk={client.password}", "  key_mgmt=WPA-PSK", "  ieee80211w=1"]
    else:
        # Everything up to the last quotation mark belongs to it.
        lines += [f'  psk="{client.password}"', "  key_mgmt=WPA-PSK WPA-PSK-SHA256 SAE", "  ieee80211w=1"]
    return "\n".join([*lines, "}"]) + "\n"


def dnsmasq(own: IPv4Interface, leases: tuple[IPv4Address, IPv4Address], host_name: str, kept: str) -> str:
    """dnsmasq.conf (dnsmasq(8)); `kept`: the file of the leases.

    The device is named as router, although it forwards nothing: without one, phones do not use a network at
    all. By the names of `allegro.captive_probes` they ask whether this is the internet, and the device
    answers. Every other name is answered with "there is none", at once.
    """
    first, last = leases
    names = ",".join(f"{name},{name}.{DOMAIN},{name}.local" for name in dict.fromkeys((PAGE_NAME, host_name)))
    lines = [
        f"interface={NAME}",
        "except-interface=lo",
        "bind-dynamic",
        "no-resolv",
        "no-hosts",
        "no-ping",
        "quiet-dhcp",
        f"host-record={names},{own.ip}",
        f"host-record={','.join(captive_probes.NAMES)},{own.ip}",
        f"host-record={','.join(captive_probes.WINDOWS_DNS)}",
        f"domain={DOMAIN}",
        "local=/#/",
        "dhcp-authoritative",
        f"dhcp-range={first},{last},{own.netmask},1h",
        f"dhcp-leasefile={kept}",
        "dhcp-lease-max=250",
    ]
    return "\n".join(lines) + "\n"


def access_point_network(own: IPv4Interface) -> str:
    """For systemd-networkd (systemd.network(5)): the address of the access point."""
    return _network(
        "DHCP=no",
        f"Address={own}",
        "IPv6AcceptRA=no",
        "ConfigureWithoutCarrier=yes",
        "IgnoreCarrierLoss=yes",
    )


def client_network() -> str:
    """For systemd-networkd: addresses from the other network, which counts less than a cable."""
    routes = "RouteMetric=600"
    return (
        _network("DHCP=yes", "IPv6AcceptRA=yes")
        + f"\n[DHCPv4]\nClientIdentifier=mac\nSendHostname=yes\nUseHostname=no\n{routes}\n"
        + "\n[DHCPv6]\nDUIDType=link-layer\nSendHostname=yes\nUseHostname=no\n"
        + f"\n[IPv6AcceptRA]\n{routes}\n"
    )


def _network(*more: str) -> str:
    lines = ("LinkLocalAddressing=ipv6", "MulticastDNS=yes", "LLMNR=no", *more)
    return f"[Match]\nName={NAME}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n" + "\n".join(lines) + "\n"


def security(settings: AccessPoint, can_wpa3: bool) -> str:
    """What an access point with these settings offers: "wpa2" or "wpa2-wpa3"."""
    return (
        "wpa2-wpa3"
        if settings.security == "wpa2-wpa3" and can_wpa3 and not is_wpa_key(settings.password)
        else "wpa2"
    )


def is_wpa_key(password: str) -> bool:
    """Whether this is the key itself rather than a pass-phrase."""
    return re.fullmatch(r"[0-9A-Fa-f]{64}", password) is not None
