"""Every small file that the programs keep, spoilt in every way: both start, nobody gets in, all is told.

The files are those that a device has after it was used. Their last good copies are left alone at first: then
nothing is lost. Each run spoils every file, each in another way, and six runs every file in every way.
"""

import html
import json
import random
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from allegro.api.client import Client
from allegro.firmware.events import Events
from allegro.firmware.trial import Trial, TrialNote
from allegro.keeping import copy_of
from allegro.network import configure, unconfirmed
from allegro.network.unconfirmed import Unconfirmed
from allegro.settings.model import Settings
from allegro.storage.known_disks import KnownDisks
from tests.harness.waiting import wait_for
from tests.harness.web_programs import PASSWORDS, Programs, basic

pytestmark = [pytest.mark.spec("S2", "U7"), pytest.mark.timeout(600)]

OWN_WIFI = "a password of its own"
NOBODY_THERE = "http://localhost:1/"
HARNESS = Path(__file__).resolve().parents[1] / "harness"
ADMIN = basic("admin", PASSWORDS["admin"])

TOLD = {
    "settings.json": "settings-damaged",
    "state/ports.json": "kept-port-names",
    "state/unconfirmed-network.json": "kept-network-change",
    "state/system-id": "kept-system-id",
    "state/ssh/id_ed25519": "kept-device-key",
    "state/allegro.sqlite": "jobs-",
    "state/notifications.sqlite": "notify-queue",
    "state/events.json": "kept-events",
    "state/settings-changes.json": "kept-settings-changes",
    "state/disks.json": "kept-known-disks",
    "firmware/trial.json": "kept-firmware-trial",
    "firmware/events.json": "kept-firmware-events",
    "web/users.json": "The file of the users of this page",
    "web/tokens.json": "The file of the API tokens",
    "web/certificate.pem": "The certificate of this page",
    "web/uploaded-certificate.pem": "The certificate that was uploaded for this page",
}
"""How the loss of each file is told: by a problem of the status, or for the page's own in words on its
dashboard. A new file that is kept over a start has to say so, too."""

DERIVED = (
    "state/ssh/id_ed25519.pub",
    "web/browsers.key",
    "state/time",
    "state/wifi-own-password",
    "had-users",
)
"""Made anew without a loss, or without content: of the last three only time, or that it is there, counts."""

NOT_KEPT = ("storage/", "ring/")
"""Packets: their own tests spoil these."""

COMPANIONS = (".lock", "-wal", "-shm")


def kept_files(data: Path) -> list[str]:
    """All files of a data partition but copies, packets and what is derived."""
    names = sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())
    return [
        name
        for name in names
        if not name.startswith(NOT_KEPT) and not name.endswith((".good", *COMPANIONS)) and name not in DERIVED
    ]


def newer(name: str, path: Path) -> None:
    """As a newer version may leave the file: with more in it, and values that this one does not know."""
    if name.endswith(".sqlite"):
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
            table = "jobs" if name == "state/allegro.sqlite" else "waiting"
            database.execute(f"ALTER TABLE {table} ADD COLUMN newer TEXT NOT NULL DEFAULT 'x'")
            database.execute("CREATE TABLE of_a_newer_version (name TEXT)")
        database.close()
    if not name.endswith(".json"):
        return
    raw: Any = json.loads(path.read_bytes())
    if isinstance(raw, list):
        raw.append({"time_ns": 1, "kind": "beamed", "text": "Up.", "by": "anna"})
    elif name != "state/ports.json":
        raw |= {"schema_version": 99, "of_a_newer_version": {"on": True}}
    if name == "settings.json":
        raw["time"]["zone"] = "Mars/Olympus_Mons"
    if name == "web/users.json":
        raw["users"].append({"name": "olga", "role": "operator", "password": "x"})
    path.write_text(json.dumps(raw))


def spoil(way: str, name: str, path: Path) -> None:
    """Spoils a file; `bad sector` is up to the programs' environment."""
    content = path.read_bytes()
    match way:
        case "empty":
            path.write_bytes(b"")
        case "random":
            path.write_bytes(random.Random(name).randbytes(max(len(content), 64)))
        case "cut in half":
            path.write_bytes(content[: len(content) // 2])
        case "another type":
            path.write_text('{"a": 1}' if content.startswith(b"[") else "[1]")
        case "newer":
            newer(name, path)


WAYS = ("bad sector", "empty", "random", "cut in half", "another type", "newer")


class Device:
    """Copies of a device that was used, each started with its files spoilt."""

    def __init__(self, folder: Path, preload: Path) -> None:
        self._folder = folder
        self._preload = preload
        self.used = folder / "used"
        self.names: list[str] = []

    def spoilt(self, name: str, spoil_all: Callable[[Path], list[Path]]) -> Programs:
        """`spoil_all` spoils the files of a data partition; it answers with those in bad sectors."""
        folder = self._folder / name
        shutil.copytree(self.used / "data", folder / "data")
        bad = spoil_all(folder / "data")
        listed = ":".join(map(str, bad))
        return Programs(folder, ["env", f"LD_PRELOAD={self._preload}", f"BAD_SECTORS={listed}"])


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Device:
    folder = tmp_path_factory.mktemp("kept")
    preload = folder / "bad_sectors.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(preload)]
    subprocess.run([*command, str(HARNESS / "bad_sectors.c")], check=True)
    made = Device(folder, preload)
    programs = Programs(made.used)
    try:
        programs.start()
        use(programs)
        programs.stop()
    finally:
        programs.kill()
    leave_notes(programs)
    made.names = kept_files(programs.paths.data)
    return made


def use(programs: Programs) -> None:
    """What people do with a device."""
    settings = {
        "trigger": {"before_s": 77},
        "time": {"servers": ["192.0.2.1"]},
        "wifi": {"access_point": {"password": OWN_WIFI}},
        "notifications": {"webhook": {"enabled": True, "url": NOBODY_THERE, "tell": {"presses": True}}},
    }
    for method, target, body in (
        ("PATCH", "/api/settings", json.dumps(settings).encode()),
        ("POST", "/api/trigger", b"{}"),
        ("POST", "/api/tokens", json.dumps({"name": "probe", "role": "viewer", "days": 1}).encode()),
        ("PUT", "/api/certificate", json.dumps({"pem": own_made()}).encode()),
        ("GET", "/api/export", None),
    ):
        headers = ADMIN | ({} if method == "GET" else {"Content-Type": "application/json"})
        status, _, content = programs.request(method, target, headers, body)
        assert status < 400, (target, content)


def own_made() -> str:
    """A certificate and its key, PEM."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "-", "-subj", "/CN=x"]
    command += ["-addext", "subjectAltName=DNS:x.example", "-days", "60"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def leave_notes(programs: Programs) -> None:
    """What the start of a device, its updates and a change of the network leave: not done on this machine."""
    paths = programs.paths
    configure.keep_names(configure.memory(paths.state), {"02:00:00:00:00:01": "mgmt0"})
    management = Settings().management.model_dump(mode="json")
    deadline_s = time.clock_gettime(time.CLOCK_BOOTTIME) + 3600
    waiting = Unconfirmed({"management": management}, {}, unconfirmed.boot_id(), deadline_s)
    unconfirmed.save(waiting, paths.unconfirmed_change)
    disks = KnownDisks(paths.known_disks, lambda: {"captures": "5f3a"}, lambda _uuid: False)
    disks.look(tuple)
    Events(paths.firmware / "events.json").add("installed", "Installed 2.0.0.")
    TrialNote(paths.firmware / "trial.json").write(
        Trial("1.0.0", "slot-a", "2.0.0", "slot-b", unconfirmed.boot_id())
    )


def test_every_kept_file_has_a_way_to_be_told(device: Device) -> None:
    assert set(device.names) == set(TOLD)
    for name in device.names:
        copied = copy_of(device.used / "data" / name).exists()
        assert copied != name.endswith(".sqlite"), name


def dashboard(programs: Programs) -> str:
    """The page that somebody sees who has logged in."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    typed = urlencode({"name": "admin", "password": PASSWORDS["admin"], "next": ""}).encode()
    status, headers, content = programs.request("POST", "/login", form, typed)
    assert status == 303, content
    cookie = re.search(r"__Host-allegro=[\w-]+", headers["set-cookie"])
    assert cookie
    status, _, content = programs.request("GET", "/", {"Cookie": cookie[0]})
    assert status == 200, content
    return html.unescape(content.decode())


def refused_by_default(programs: Programs) -> None:
    """The first login of a new device opens nothing."""
    status, _, content = programs.request("GET", "/api/status", basic("admin", "allegro"))
    assert status in (401, 503), content


@pytest.mark.parametrize("shift", range(len(WAYS)))
def test_with_their_copies_nothing_is_lost_and_all_is_told(device: Device, shift: int) -> None:
    ways = {name: WAYS[(number + shift) % len(WAYS)] for number, name in enumerate(device.names)}

    def spoil_all(data: Path) -> list[Path]:
        for name, way in ways.items():
            spoil(way, name, data / name)
        return [data / name for name, way in ways.items() if way == "bad sector"]

    programs = device.spoilt(f"run-{shift}", spoil_all)
    try:
        programs.start(used=True)
        refused_by_default(programs)
        for role in PASSWORDS:
            assert programs.request("GET", "/api/ring", basic(role, PASSWORDS[role]))[0] == 200, role
        page = dashboard(programs)
        if ways["state/notifications.sqlite"] not in ("newer", "empty"):
            wait_for(lambda: is_told(programs, "notify-queue"), "the queue to be looked at", 60)
        status = json.loads(programs.request("GET", "/api/status", ADMIN)[2])
        settings = json.loads(programs.request("GET", "/api/settings", ADMIN)[2])
        programs.stop()
    finally:
        programs.kill()
    assert (settings["trigger"]["before_s"], settings["time"]["servers"]) == (77, ["192.0.2.1"])
    assert status["system_id"] == (device.used / "data/state/system-id").read_text().strip()
    found = [problem["id"] for problem in status["problems"]]
    for name, way in ways.items():
        if way == "newer":
            continue
        if name.endswith(".sqlite") and way == "empty":  # a database in which nothing is yet
            continue
        told = TOLD[name]
        assert told in page or any(each.startswith(told) for each in found), (name, way, found)
    if ways["settings.json"] == "newer":
        assert "settings-refused" in found
        assert settings["time"]["zone"] == "UTC"
    if ways["web/users.json"] == "newer":
        assert "These users cannot log in with this version of the firmware: olga." in page


@pytest.mark.parametrize("way", ["bad sector", "empty"])
def test_without_their_copies_the_programs_start_and_nobody_gets_in(device: Device, way: str) -> None:
    def spoil_all(data: Path) -> list[Path]:
        files = [data / name for name in device.names]
        both = [path for each in files for path in (each, copy_of(each)) if path.exists()]
        for path in both:
            spoil(way, path.name, path)
        return both if way == "bad sector" else []

    programs = device.spoilt(f"nothing-left-{way.replace(' ', '-')}", spoil_all)
    try:
        programs.start(used=True)
        refused_by_default(programs)
        for role in PASSWORDS:
            assert programs.request("GET", "/api/ring", basic(role, PASSWORDS[role]))[0] == 503, role
        door = html.unescape(programs.request("GET", "/login")[2].decode())
        if way != "empty":
            wait_for(lambda: is_told(programs, "notify-queue"), "the queue to be looked at", 60)
        found = [problem["id"] for problem in status_for_root(programs)["problems"]]
        programs.stop()
    finally:
        programs.kill()
    assert "The users of this page cannot be known" in door
    assert "This device is new" not in door
    expected = {told for name, told in TOLD.items() if not name.startswith("web/")}
    if way == "empty":
        expected -= {"jobs-", "kept-system-id", "notify-queue"}  # begun anew
    assert "first-passwords" not in found, "neither the page nor the WiFi opens with it"
    for told in expected:
        assert any(each.startswith(told) for each in found), (told, found)


def test_without_a_data_partition_the_page_says_so_and_asks_for_a_restart(device: Device) -> None:
    programs = Programs(device.used.parent / "not mounted")
    programs.paths.data.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", str(programs.paths.data)], check=True)
    try:
        programs.start(used=True)
        refused_by_default(programs)
        status, _, content = programs.request("GET", "/login")
        assert status == 200
        assert "cannot be read (its folder is missing)" in html.unescape(content.decode())
        status, _, content = programs.request("POST", "/restart", content=b"")
        said = html.unescape(content.decode())
        # As far as the supervisor, which leaves this machine alone, or finds it started too short ago.
        assert "which is not ours to switch off" in said or "has only just started" in said
        assert status_for_root(programs)["problems"][0]["id"] == "data-unusable"
        programs.stop()
    finally:
        programs.kill()
        subprocess.run(["umount", str(programs.paths.data)], check=True)


def is_told(programs: Programs, beginning: str) -> bool:
    """Whether there is a problem whose id begins so: a thread looks into the queue of the notifications."""
    return any(each["id"].startswith(beginning) for each in status_for_root(programs)["problems"])


def status_for_root(programs: Programs) -> Mapping[str, Any]:
    """What the supervisor tells on the device itself."""
    answer: Mapping[str, Any] = Client(programs.paths.api_socket).get("/status")
    return answer
