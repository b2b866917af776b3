"""A device that has been in use: what its user has set, and how people and programs reach its page.

For tests of updates from a version to another one, in both directions.
"""

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from tests.harness.captures import Capture, Packet
from tests.harness.frames import number_of
from tests.harness.waiting import PATIENCE
from tests.harness.web_programs import UNCHECKED, basic

Answer = dict[str, Any]

RING_MIB = 48
WORDS = {"admin": "the administrator's word", "anna": "the viewer's word", "ben": "the capturer's word"}
"""The passwords that users have chosen."""
SET_BY_OLD = {
    "recording": {"ring_size_mib": RING_MIB},
    "trigger": {
        "before_s": 45,
        "presenters": [
            {"vendor": "046d", "product": "c52d", "name": "Logitech R400"},
            {"vendor": "1a2b", "product": "3c4d", "name": "Of the lecture room"},
        ],
    },
    "links": {"pairs": [{"pair": 2, "mode": "sink"}]},
    "management": {
        "mode": "static",
        "address": "10.0.2.15/24",
        "gateway": "10.0.2.2",
        "dns": ["10.0.2.3"],
        "host_name": "lecture-room",
    },
    "wifi": {"access_point": {"ssid": "Lecture room", "password": "correct horse battery"}},
    "time": {"zone": "Europe/Vienna", "servers": ["ntp.example.org"]},
}
SET_BY_NEW = {
    "trigger": {
        "filter": "l4Protocol == udp",
        "rows": [
            {"key": "any", "name": "All", "filter": ""},
            {"key": "next", "name": "Left", "filter": 'group == "Left"', "packet_length": 96},
        ],
    },
    "groups": {"links": [{"name": "Left", "interfaces": "port1"}]},
    "notifications": {
        "mail": {"server": "mail.example.org", "sender": "a@example.org", "recipients": ["b@example.org"]},
        "webhook": {"form": "ntfy", "url": "https://ntfy.example.org/topic", "token": "tk_secret"},
        "syslog": {"enabled": True, "server": "10.0.2.2", "tls": False},
    },
    "recording": {
        "rules": [{"name": "Headers", "filter": "l4Protocol == tcp", "action": "keep", "bytes": 128}]
    },
    "storage": {"limit_mib": 500, "uploaded": "keep"},
    "export": {"limit_kbit_s": 90_000},
}


class Page:
    """The web page and its API, as a browser or a program reaches them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._site = f"https://127.0.0.1:{port}"
        https = urllib.request.HTTPSHandler(context=UNCHECKED)
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self._browser = urllib.request.build_opener(https, cookies, urllib.request.ProxyHandler({}))

    def log_in(self, name: str, password: str) -> None:
        """As a browser does."""
        self.send("/login", name=name, password=password)

    def choose(self, password: str) -> None:
        """The password that is asked for at the first login."""
        self.send("/password", csrf=self._token("/password"), password=password, again=password)

    def make_users(self) -> None:
        """A new device's: all of WORDS."""
        self.log_in("admin", "allegro")
        self.choose(WORDS["admin"])
        self.add_user("anna", "viewer", WORDS["anna"])
        self.add_user("ben", "capture", WORDS["ben"])

    def add_user(self, name: str, role: str, password: str) -> None:
        """By an administrator who has logged in; the user has chosen `password` then."""
        first = f"first {password}"
        self.send("/users", csrf=self._token("/users"), name=name, role=role, password=first)
        users = Page(self._port)
        users.log_in(name, first)
        users.choose(password)

    def send(self, path: str, **fields: str) -> str:
        """A form; what is shown then."""
        data = urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(f"{self._site}{path}", data, {"Origin": self._site})
        with self._browser.open(request, timeout=120) as answer:
            shown: str = answer.read().decode()
        return shown

    def ask(self, path: str, headers: dict[str, str], body: object = None) -> tuple[int, Any]:
        """A request to the API; its status, and the answer if it is a good one."""
        data = None if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(f"{self._site}/api{path}", data, sent)
        try:
            with self._browser.open(request, timeout=120) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, None

    def put(self, path: str, headers: dict[str, str], file: Path) -> None:
        """A file to the API. Raises HTTPError if it is refused."""
        length = {"Content-Length": str(file.stat().st_size)}
        with file.open("rb") as content:
            request = urllib.request.Request(
                f"{self._site}/api{path}", content, headers | length, method="PUT"
            )
            with self._browser.open(request, timeout=600 * PATIENCE):
                pass

    def lets_in(self, name: str, password: str) -> bool:
        """Whether a user gets in who need not choose another password."""
        return self.ask("/status", basic(name, password))[0] == 200

    def _token(self, path: str) -> str:
        with self._browser.open(f"{self._site}{path}", timeout=120) as answer:
            found = re.search(r'name="csrf" value="([^"]+)"', answer.read().decode())
        assert found, f"{path} shows no form"
        return found[1]


def has(settings: Answer, wanted: Answer) -> bool:
    """Whether settings hold all that is wanted; secrets are not looked at."""
    for name, value in wanted.items():
        if isinstance(value, dict):
            if not has(settings[name], value):
                return False
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            if not all(has(row, asked) for row, asked in zip(settings[name], value, strict=True)):
                return False
        elif name not in ("password", "token", "url") and settings[name] != value:
            return False
    return True


def check_users(page: Page, words: dict[str, str]) -> None:
    """All get in, with the passwords that they have chosen."""
    assert [name for name, word in words.items() if not page.lets_in(name, word)] == []


def by_series(capture: Capture) -> dict[int, list[Packet]]:
    """The packets of each series of numbered frames (0: all others, too)."""
    found: dict[int, list[Packet]] = {}
    for packet in capture.packets:
        found.setdefault((number_of(packet.data) or (0,))[0], []).append(packet)
    return found


def ended(jobs: Iterable[Answer]) -> dict[int, tuple[Any, ...]]:
    """What each version says of each capture that has ended."""
    said = ("state", "file", "press_ns", "before_s", "after_s", "size", "packets", "message")
    return {
        job["id"]: tuple(job[name] for name in said) for job in jobs if job["state"] in ("complete", "failed")
    }
