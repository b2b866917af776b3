"""What phones and computers ask a network for, to learn whether it leads to the internet.

In the device's own WiFi these names lead to the device (`network.wifi_files`), and it answers
(`web.welcome`): at first with a page of its own, and with what they expect for those who want to stay.

Sources: Android's NetworkStack (`config_captive_portal_http_url` and its fallbacks); the answer of
captive.apple.com; Microsoft, "NCSI overview"; Firefox, `captivedetect.canonicalURL` and
`network.connectivity-service.IPv4.url`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """The answer that means "the internet is there"."""

    status: int = 200
    content: str = ""
    media_type: str = "text/plain"


_NOTHING = Expected(204)
_APPLE = Expected(
    content="<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>\n", media_type="text/html"
)
_FIREFOX = '<meta http-equiv="refresh" content="0;url=https://support.mozilla.org/kb/captive-portal"/>'

PROBES: dict[tuple[str, str], Expected] = {
    ("connectivitycheck.gstatic.com", "/generate_204"): _NOTHING,
    ("connectivitycheck.android.com", "/generate_204"): _NOTHING,
    ("clients3.google.com", "/generate_204"): _NOTHING,
    ("play.googleapis.com", "/generate_204"): _NOTHING,
    ("captive.apple.com", "/hotspot-detect.html"): _APPLE,
    ("captive.apple.com", "/"): _APPLE,
    ("www.msftconnecttest.com", "/connecttest.txt"): Expected(content="Microsoft Connect Test"),
    ("www.msftncsi.com", "/ncsi.txt"): Expected(content="Microsoft NCSI"),
    ("detectportal.firefox.com", "/canonical.html"): Expected(content=_FIREFOX, media_type="text/html"),
    ("detectportal.firefox.com", "/success.txt"): Expected(content="success\n"),
}
"""Host and path, by HTTP → what is expected. Only names that serve nothing else."""

NAMES = tuple(dict.fromkeys(host for host, _ in PROBES))

WINDOWS_DNS = ("dns.msftncsi.com", "131.107.255.255")
"""A name that Windows looks up, and the address that it expects."""
