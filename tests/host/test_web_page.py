"""The web page as a user has it: the real programs, a real browser, packets from a cable in a namespace."""

import base64
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from allegro import joining
from allegro.paths import Paths
from allegro.web.local_time import local_of
from allegro.web.pages import PAGES
from tests.harness import browser, command_line, qr_reader
from tests.harness.browser import BUILT, DESKTOP, PHONE, SMALL_PHONE, WAIT_MS, Thumb, assert_accessible
from tests.harness.namespaces import Namespace
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import PATIENCE, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
REPORT = REPOSITORY / "build/test-report/web"
NAME = "web-host"
PASSWORD = "correct horse battery"
MIB = 1 << 20
NOBODY = 65534

SENDER = """
import socket, sys, time
from tests.harness.frames import series
cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
cable.bind(("peer1", 0))
while True:
    for frame in series(20, number=1):
        cable.send(frame)
    time.sleep(0.5)
"""

SUPERVISOR = """
import runpy, sys
started = open(sys.argv[1], "a", buffering=1)
def hear(event, arguments):
    if event == "subprocess.Popen":
        print(arguments[0].rpartition("/")[2], file=started)
sys.addaudithook(hear)
sys.argv[1:2] = []
runpy.run_module("allegro.supervisor", run_name="__main__", alter_sys=True)
"""
"""Notes each program that it starts."""

pytestmark = pytest.mark.timeout(240)


class Device:
    """Recorder on `port1` of a namespace, supervisor, and the web page as an unprivileged user."""

    def __init__(self, folder: Path, namespace: Namespace) -> None:
        self.paths = Paths(folder / "data", folder / "run")
        self.log = folder / "log"
        self.started = folder / "started"
        self._folder = folder
        self._namespace = namespace
        self._processes: list[subprocess.Popen[bytes]] = []
        self.url = self.http_url = ""

    def start(self) -> None:
        self.paths.recorder_status.parent.mkdir(parents=True)
        self.paths.web.mkdir(parents=True)
        self.paths.page_socket.parent.mkdir()
        for own in (self.paths.web, self.paths.page_socket.parent):
            os.chown(own, NOBODY, NOBODY)
        config = {
            "ring_directory": str(self.paths.ring),
            "ring_size": 32 * MIB,
            "status_file": str(self.paths.recorder_status),
            "blocks_per_port": 16,
        }
        self.paths.recorder_config.write_text(json.dumps(config))
        recorder = [sys.executable, "-m", "allegro.capture.recorder", str(self.paths.recorder_config)]
        self._namespace.spawn(recorder, self.log)
        self._namespace.spawn([sys.executable, "-c", SENDER], self.log)
        folders = ["--data", str(self.paths.data), "--run", str(self.paths.run)]
        self._run([sys.executable, "-c", SUPERVISOR, str(self.started), *folders])
        # The group is the one that the socket has on a machine without the user allegro-web.
        unprivileged = ["setpriv", f"--reuid={NOBODY}", f"--regid={os.getegid()}", "--clear-groups"]
        unprivileged += ["--bounding-set=-all", "--no-new-privs"]
        web = [sys.executable, "-m", "allegro.web", *folders, "--built", str(BUILT)]
        self._run([*unprivileged, *web, "--https-port=0", "--http-port=0"])
        self.until(lambda: "HTTP on port" in self.log.read_text())
        found = re.search(r"HTTPS on port (\d+), HTTP on port (\d+)", self.log.read_text())
        assert found
        self.url, self.http_url = f"https://localhost:{found[1]}", f"http://localhost:{found[2]}"
        self.until(lambda: self.allegro("ring")["ports"] != [])

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(20) for process in self._processes]
        assert codes == [0] * len(codes), self.log.read_text()

    def kill(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def allegro(self, *arguments: str) -> Any:
        done = command_line.allegro(self.paths.api_socket, *arguments, "--json")
        return json.loads(done.stdout) if done.returncode == 0 else {"ports": []}

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60 * PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"not within 60 s; the log says:\n{self.log.read_text()}")
            time.sleep(0.2)

    def _run(self, command: list[str]) -> None:
        with self.log.open("ab") as log:
            self._processes.append(subprocess.Popen(command, stdout=log, stderr=log))


@pytest.fixture(scope="module")
def device() -> Iterator[Device]:
    if os.geteuid() != 0:
        pytest.fail("the host tests need root: sudo make test")
    if not (BUILT / "vendor").is_dir():
        pytest.fail("the files of others are missing: make web-assets")
    namespace = Namespace(NAME)
    namespace.sysctl("net.ipv6.conf.default.disable_ipv6", "1")
    namespace.ip("link", "add", "peer1", "type", "veth", "peer", "name", "port1")
    namespace.ip("link", "add", "peer2", "type", "veth", "peer", "name", "port2")
    for end in ("peer1", "port1", "port2"):
        namespace.ip("link", "set", end, "up")
    # Not below pytest's own folder, which only root may enter.
    folder = Path(tempfile.mkdtemp(prefix="allegro-web-test-"))
    folder.chmod(0o755)
    made = Device(folder, namespace)
    try:
        made.start()
        yield made
        made.stop()
        assert "Traceback" not in made.log.read_text()
    finally:
        made.kill()
        namespace.close()
        shutil.rmtree(folder)


class Watched:
    """Makes windows of the browser, and notes what a page must never do."""

    def __init__(self, browser: Browser, device: Device) -> None:
        self._browser = browser
        self._device = device
        self._contexts: list[BrowserContext] = []
        self.state: Any = None
        self.url = device.url
        self.foreign: list[str] = []
        self.complaints: list[str] = []

    def window(
        self,
        viewport: dict[str, int] = DESKTOP,
        scheme: str = "light",
        *,
        logged_in: bool = True,
        time_zone: str | None = None,
    ) -> Page:
        context = self._browser.new_context(
            ignore_https_errors=True,
            base_url=self._device.url,
            viewport=viewport,  # type: ignore[arg-type]
            color_scheme=scheme,  # type: ignore[arg-type]
            storage_state=self.state if logged_in else None,
            locale="en-GB",
            timezone_id=time_zone,
        )
        self._contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        context.on("request", lambda request: self._note(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self._hear(said.text))
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()
        self._contexts.clear()

    def _note(self, url: str) -> None:
        if not url.startswith((self._device.url, "blob:" + self._device.url)):
            self.foreign.append(url)

    def _hear(self, text: str) -> None:
        if "Content Security Policy" in text or "Uncaught" in text:
            self.complaints.append(text)


@pytest.fixture(scope="module")
def watched(device: Device, chromium: Browser) -> Iterator[Watched]:
    """The first login is done; afterwards the new password holds."""
    made = Watched(chromium, device)
    first_login(made)
    yield made
    made.close()
    assert made.foreign == [], "requests left the device"
    assert made.complaints == []


@pytest.fixture
def page(watched: Watched) -> Iterator[Page]:
    yield watched.window()
    watched.close()


def first_login(watched: Watched) -> None:
    page = watched.window(PHONE, logged_in=False)
    page.goto("/")
    expect(page).to_have_url(re.compile("/login$"))
    expect(page.get_by_text("This device is new")).to_be_visible()
    photograph(page, "login-phone-light.png")
    assert_accessible(page)
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("allegro")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Choose your own password")).to_be_visible()
    page.goto("/storage")
    expect(page).to_have_url(re.compile("/password$"))
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("once more").fill("short")
    page.get_by_role("button", name="Save password").click()
    expect(page.locator("#password-error")).to_contain_text("at least 8 characters")
    code = page.get_by_role("img", name="QR code to join the WiFi network")
    expect(code.locator("svg")).to_be_visible()
    made = page.locator("#wifi-password").inner_text()
    ssid = (code.get_attribute("aria-label") or "").rpartition(" ")[2]
    assert qr_reader.texts(code.screenshot()) == [joining.wifi(ssid, made)]
    photograph(page, "first-password-phone-light.png")
    assert_accessible(page)
    page.set_viewport_size(SMALL_PHONE)  # type: ignore[arg-type]
    assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PHONE["width"]
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("once more").fill(PASSWORD)
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_role("heading", name="Clock and time zone")).to_be_visible()
    expect(page.get_by_text("Your new password is saved.")).to_be_visible()
    expect(page.get_by_text("The WiFi has its new password")).to_be_visible()
    page.get_by_role("link", name="Later").click()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    expect(page.get_by_text("The set-up of this device is not finished.")).to_be_visible()
    page.locator("details.account summary").click()
    page.get_by_role("link", name="WiFi password").click()
    expect(page.locator("#wifi-password")).to_have_text(made)
    expect(code.locator("svg")).to_be_visible()
    assert_accessible(page)
    watched.state = page.context.storage_state()
    watched.close()


def photograph(page: Page, name: str) -> None:
    """For the test report."""
    browser.photograph(page, REPORT / name)


@pytest.mark.spec("W11", "W8")
def test_a_device_is_set_up_by_keyboard_alone(device: Device, watched: Watched, tmp_path: Path) -> None:
    """From where it was left at the first log-in, to a press and its file on a server."""
    page = watched.window(SMALL_PHONE, time_zone="Europe/Berlin")
    thumb = Thumb(page)
    shown: list[str] = []

    def step(title: str) -> None:
        expect(page.get_by_role("heading", name=title)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PHONE["width"], title
        assert_accessible(page)
        shown.append(title)
        photograph(page, f"set-up-{len(shown)}-phone-light.png")

    def button(name: str) -> Locator:
        return page.get_by_role("button", name=name, exact=True)

    page.goto("/")
    thumb.press(page.get_by_role("link", name="Continue set-up"))
    step("Clock and time zone")
    kept = device.allegro("time")["synchronised"]
    thumb.press(button("Take the zone of this browser" if kept else "Take time and zone of this browser"))
    if not kept:  # this machine's clock is not ours to set
        expect(page.locator(".message.error")).to_contain_text("not ours to set")
        thumb.press(button("Next"))
    step("Links")
    assert device.allegro("settings", "get", "time.zone") == "Europe/Berlin"
    expect(page.locator("#live")).to_contain_text("port1 sees traffic.")
    expect(page.locator("#live")).to_contain_text("port2 has no link")
    thumb.press(button("Next"))
    step("Presenter")
    thumb.press(button("Next"))
    step("Where captures go")
    with SftpServer(tmp_path / "sshd") as server:
        for label, text in (
            ("Server", server.address),
            ("Port", str(server.port)),
            ("User name", server.user),
            ("Password", server.password),
        ):
            thumb.type(page.get_by_label(label, exact=True), text)
        thumb.press(page.get_by_label("Upload at once"), "Space")
        thumb.press(button("Save and test"))
        expect(page.get_by_text(server.fingerprint)).to_be_visible()
        assert_accessible(page)
        thumb.press(button("Accept this key"))
        step("Try it: press now")
        assert "allegro-upload-test.txt" in "".join(server.files())
        thumb.press(button("Press now"))
        expect(page.locator("#live .pill", has_text="sent")).to_be_visible()
        assert [name for name in server.files() if name.endswith(".pcapng")]
    device.allegro("settings", "set", "export.enabled=false", "export.immediately=false", "time.zone=UTC")
    assert_accessible(page)
    thumb.press(button("Finish"))
    expect(page.get_by_text("The set-up is finished.")).to_be_visible()
    expect(page.get_by_text("is not finished")).to_have_count(0)
    assert thumb.taps + len(("Log in", "Save password")) <= 12
    watched.close()


@pytest.mark.spec("W1")
def test_the_new_password_holds_and_the_first_one_does_not(watched: Watched) -> None:
    page = watched.window(logged_in=False)
    page.goto("/export")
    for password in ("allegro", PASSWORD):
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        if password == "allegro":
            expect(page.get_by_role("alert")).to_contain_text("User name or password is wrong.")
    expect(page.get_by_role("heading", name="Pcap export via SFTP")).to_be_visible()
    page.locator("details.account summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login$"))
    page.goto("/")
    expect(page).to_have_url(re.compile("/login$"))
    watched.close()


@pytest.mark.parametrize(
    ("path", "typed", "section"),
    [
        ("/ring", {"recording.ring_size_mib": "48"}, {"ring_size_mib": 48}),
        (
            "/links",
            {"links.pairs.0.pair": "7", "links.pairs.0.mode": "bridge"},
            {"pairs": [{"pair": 7, "mode": "bridge"}]},
        ),
        (
            "/management",
            {
                "management.mode": "static",
                "management.address": "192.0.2.20/24",
                "management.gateway": "192.0.2.1",
                "management.dns": "192.0.2.1\n192.0.2.2",
            },
            {"mode": "static", "address": "192.0.2.20/24", "dns": ["192.0.2.1", "192.0.2.2"]},
        ),
        (
            "/trigger",
            {
                "trigger.before_s": "3600",
                "trigger.beep": False,
                "trigger.presenters.1.vendor": "046d",
                "trigger.presenters.1.product": "c540",
                "trigger.presenters.1.name": "Logitech R500",
            },
            {"before_s": 3600, "beep": False},
        ),
        (
            "/export",
            {
                "export.host": "files.example.net",
                "export.username": "allegro",
                "export.password": "secret",
                "export.time": "03:30",
                "export.immediately": True,
            },
            {"host": "files.example.net", "password": "********", "time": "03:30", "immediately": True},
        ),
        (
            "/time",
            {
                "time.zone": "Europe/Berlin",
                "time.servers": "ntp.example\n192.0.2.9",
                "time.servers_from_dhcp": False,
            },
            {"zone": "Europe/Berlin", "servers": ["ntp.example", "192.0.2.9"], "servers_from_dhcp": False},
        ),
    ],
)
@pytest.mark.spec("W6", "L1", "N1", "N7", "T3", "T8", "X1")
def test_each_form_is_saved_and_read_back(
    device: Device, page: Page, path: str, typed: dict[str, str | bool], section: dict[str, Any]
) -> None:
    page.goto(path)
    for name, value in typed.items():
        put(page, name, value)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".message.good")).to_contain_text("Saved.")
    page.goto(path)
    for name, value in typed.items():
        shown = page.locator(f"[name='{name}']")
        if isinstance(value, bool):
            assert shown.is_checked() is value
        elif name.endswith("password"):
            assert shown.input_value() == "********"
        else:
            assert shown.input_value() == value
    settings = device.allegro("settings", "get")[next(iter(typed)).partition(".")[0]]
    assert {name: settings[name] for name in section} == section


def put(page: Page, name: str, value: str | bool) -> None:
    shown = page.locator(f"[name='{name}']")
    if isinstance(value, bool):
        shown.set_checked(value)
    elif shown.evaluate("element => element.tagName") == "SELECT":
        shown.select_option(value)
    else:
        shown.fill(value)


@pytest.mark.parametrize(
    ("path", "typed", "field", "says"),
    [
        (
            "/ring",
            {"recording.ring_size_mib": "15"},
            "recording.ring_size_mib",
            "at least 16",
        ),
        ("/ring", {"recording.ring_size_mib": "large"}, "recording.ring_size_mib", "whole number"),
        (
            "/management",
            {"management.mode": "static", "management.address": "192.0.2.0/24"},
            "management.address",
            "network or broadcast",
        ),
        (
            "/management",
            {"management.mode": "static", "management.address": "192.0.2.300/24"},
            "management.address",
            "is not an IPv4",
        ),
        (
            "/management",
            {
                "management.mode": "static",
                "management.address": "192.0.2.5/24",
                "management.gateway": "10.0.0.1",
            },
            "management.gateway",
            "is not in the subnet",
        ),
        (
            "/management",
            {"management.mode": "static", "management.address": ""},
            "management.address",
            "address is needed",
        ),
        ("/management", {"management.dns": "192.0.2.1\nx"}, "management.dns", "list of IP addresses"),
        ("/trigger", {"trigger.before_s": "86401"}, "trigger.before_s", "at most 86400"),
        ("/trigger", {"trigger.after_s": ""}, "trigger.after_s", "whole number"),
        ("/trigger", {"trigger.debounce_ms": "-1"}, "trigger.debounce_ms", "at least 0"),
        ("/trigger", {"trigger.presenters.0.vendor": "xyz"}, "trigger.presenters.0.vendor", "four digits"),
        ("/export", {"export.host": "sftp://x"}, "export.host", "is not a host name"),
        ("/export", {"export.port": "0"}, "export.port", "at least 1"),
        ("/export", {"export.enabled": True, "export.host": ""}, "export.host", "needed before"),
        ("/export", {"export.directory": ""}, "export.directory", "must not be empty"),
        ("/links", {"links.pairs.0.pair": "65"}, "links.pairs.0.pair", "at most 64"),
        ("/management", {"management.confirm_s": "4"}, "management.confirm_s", "at least 5"),
        ("/firmware", {"firmware.server": "http://x"}, "firmware.server", "is not the address of"),
        ("/time", {"time.zone": "Europe/Berln"}, "time.zone", "do you mean Europe/Berlin?"),
        (
            "/time",
            {"time.servers": "ntp.example\nntp_example"},
            "time.servers",
            "neither a host name nor an IP",
        ),
    ],
)
def test_each_mistake_is_shown_at_its_field(
    device: Device, page: Page, path: str, typed: dict[str, str | bool], field: str, says: str
) -> None:
    before = device.allegro("settings", "get")
    page.goto(path)
    for name, value in typed.items():
        put(page, name, value)
    page.get_by_role("button", name="Save").click()
    wrong = page.locator(f"[name='{field}']")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    described = (wrong.get_attribute("aria-describedby") or "").split()
    error = page.locator(f"#{described[-1]}")
    expect(error).to_be_visible()
    expect(error).to_contain_text(says, ignore_case=True)
    for name, value in typed.items():
        if isinstance(value, str):
            expect(page.locator(f"[name='{name}']")).to_have_value(value)
    if field == "trigger.before_s":
        assert_accessible(page)
        photograph(page, "mistake-desktop-light.png")
    assert device.allegro("settings", "get") == before


@pytest.mark.spec("F5")
def test_a_filter_is_written_with_help(device: Device, page: Page) -> None:
    page.goto("/trigger")
    box = page.get_by_role("combobox", name="Filter", exact=True)
    words = page.get_by_role("listbox", name="What can be written next").get_by_role("option")
    box.press_sequentially("interf")
    expect(words).to_have_text(["interface"])
    note = page.locator("#field-trigger-filter-note")
    expect(note).not_to_have_class(re.compile("field-error"))
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("interface ")
    expect(words).to_have_text(["==", "!=", "===", "~"])
    assert_accessible(page)
    page.get_by_role("option", name="==", exact=True).click()
    expect(words).to_have_text(["port1", "port2"])
    box.press_sequentially("prot1")
    expect(note).to_have_text("Column 14: no interface is called 'prot1'. Do you mean port1?")
    expect(note).to_have_class(re.compile("field-error"))
    expect(words).to_have_count(0)
    photograph(page, "filter-desktop-light.png")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-trigger-filter-error")).to_contain_text("Do you mean port1?")
    box.fill("")
    box.press_sequentially("dstIp == 192.")
    expect(words).to_have_text(["192.0.2.1", "192.0.2.2"])
    box.fill("interface == port1 and length < 1600")
    expect(page.locator("#field-trigger-filter-error")).to_be_empty()
    expect(note).to_be_empty()
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".message.good")).to_contain_text("Saved.")
    assert device.allegro("settings", "get")["trigger"]["filter"] == "interface == port1 and length < 1600"
    page.goto("/")
    expect(page.get_by_role("combobox", name="Filter")).to_have_value("interface == port1 and length < 1600")
    page.goto("/trigger")
    box.fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".message.good")).to_contain_text("Saved.")


@pytest.mark.spec("W3", "T8", "T5", "T6")
def test_press_now_gives_a_file_that_opens(device: Device, watched: Watched, tmp_path: Path) -> None:
    page = watched.window(PHONE)
    page.goto("/")
    page.get_by_role("button", name="Press now").click()
    expect(page.locator("#press-result")).to_contain_text("Accepted.")
    captures = page.get_by_role("region", name="Last captures")
    download_link = captures.get_by_role("link", name="Download").first
    with page.expect_download() as started:
        download_link.click()
    name = started.value.suggested_filename
    assert re.fullmatch(r"\d{8}T\d{6}Z_page_manual(_\d+)?\.pcapng", name)
    started.value.save_as(tmp_path / name)
    shown = subprocess.run(["capinfos", str(tmp_path / name)], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"Number of packets:\s+[1-9]", shown.stdout)
    assert "trigger: page manual" in shown.stdout
    photograph(page, "captured-phone-light.png")
    page.goto("/storage")
    row = page.locator("li", has_text=name)
    expect(row).to_be_visible()
    row.get_by_text("Delete", exact=False).first.click()
    row.get_by_role("button", name="Yes, delete").click()
    expect(page.locator(".message.good")).to_contain_text(f"{name} is deleted.")
    assert not (device.paths.storage / name).exists()
    watched.close()


@pytest.mark.spec("W4", "W8", "W15")
def test_a_part_of_the_ring_is_chosen_in_its_picture(
    device: Device, watched: Watched, tmp_path: Path
) -> None:
    device.allegro("settings", "set", "time.zone=Asia/Kolkata")
    page = watched.window()
    page.goto("/capture")
    picture = page.locator("#timeline .u-over")
    expect(page.locator("#timeline-legend li").first).to_have_text("port1")
    expect(page.locator("#timeline-words")).to_contain_text("From 20")
    at = picture.bounding_box()
    assert at
    fields = [page.get_by_label(name, exact=True) for name in ("From", "To")]
    before = [field.input_value() for field in fields]
    y = at["y"] + at["height"] / 2
    page.mouse.move(at["x"] + at["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] * 0.8, y, steps=4)
    page.mouse.up()
    start, end = (field.input_value() for field in fields)
    assert [start, end] != before
    assert start < end
    words = page.locator("#timeline-words").inner_text()
    page.get_by_role("button", name="Zoom to what is chosen").click()
    expect(page.locator("#timeline-words")).not_to_have_text(words)
    expect(page.locator("#timeline-words")).to_contain_text(start.replace("T", " "))
    photograph(page, "capture-part-desktop-light.png")
    page.get_by_role("button", name="Capture", exact=True).click()
    expect(page.locator(".message.good")).to_contain_text("Accepted.")
    device.until(lambda: device.allegro("jobs")[0]["state"] == "complete")
    (job, *_) = device.allegro("jobs")
    assert [local_of(job[name], "Asia/Kolkata") for name in ("start_time", "end_time")] == [start, end]
    assert job["packets"] > 0
    device.allegro("files", "delete", job["file"])
    device.allegro("settings", "set", "time.zone=UTC")
    watched.close()


@pytest.mark.spec("X1", "X2")
def test_an_sftp_server_is_set_tested_and_gets_a_capture(device: Device, page: Page, tmp_path: Path) -> None:
    with SftpServer(tmp_path / "sshd") as server:
        page.goto("/export")
        typed: dict[str, str | bool] = {
            "export.host": server.address,
            "export.port": str(server.port),
            "export.username": server.user,
            "export.password": server.password,
            "export.immediately": False,
            "export.enabled": True,
        }
        for name, value in typed.items():
            put(page, name, value)
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Test upload").click()
        result = page.locator("#test-result")
        expect(result).to_contain_text(server.fingerprint)
        photograph(page, "host-key-desktop-light.png")
        assert_accessible(page)
        result.get_by_role("button", name="Accept this key").click()
        expect(page.locator(".message.good")).to_contain_text("The host key is accepted.")
        expect(page.get_by_text(f"Accepted: {server.fingerprint} (ssh-ed25519)")).to_be_visible()
        page.get_by_role("button", name="Test upload").click()
        expect(result.locator(".message.good")).to_be_visible()
        assert "allegro-upload-test.txt" in "".join(server.files())
        assert page.locator("#public-key").input_value().startswith("ssh-ed25519 ")
        page.goto("/")
        page.get_by_role("button", name="Press now").click()
        device.until(lambda: any(device.paths.upload.glob("*.pcapng")))
        page.goto("/export")
        expect(page.locator("#live")).to_contain_text("_page_manual")
        page.get_by_role("button", name="Upload now").click()
        expect(page.locator("#live")).to_contain_text("No file waits to be sent.", timeout=60_000 * PATIENCE)
        assert [name for name in server.files() if name.endswith(".pcapng")]
    device.allegro("settings", "set", "export.enabled=false")


@pytest.mark.spec("W8")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_fits(watched: Watched, scheme: str) -> None:
    """On a desktop, then made narrower."""
    page = watched.window(DESKTOP, scheme)
    for path in [*(each.path for each in PAGES), "/manual/network", "/password"]:
        page.goto(path)
        if path == "/":
            expect(page.locator("#graph-legend li").first).to_be_visible()
        name = path.strip("/").replace("/", "-") or "dashboard"
        for size, viewport in {"desktop": DESKTOP, "phone": PHONE}.items():
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            photograph(page, f"{name}-{size}-{scheme}.png")
            assert_accessible(page)
        page.set_viewport_size(SMALL_PHONE)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PHONE["width"], path
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]
    watched.close()


@pytest.mark.spec("W8")
def test_no_word_of_the_state_is_broken_on_any_screen(page: Page) -> None:
    page.goto("/")
    state = page.locator(".tile.state .value")
    for width in (360, 390, 640, 768, 834, 960, 1024, 1152, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert state.inner_text().split() == ["Recording"]
        lines = state.evaluate("each => each.clientHeight / parseFloat(getComputedStyle(each).lineHeight)")
        assert lines < 1.5, width


@pytest.mark.spec("W8")
def test_keyboard_alone_is_enough(device: Device, watched: Watched) -> None:
    page = watched.window(PHONE)
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Tab")
    menu = page.get_by_role("button", name="Menu")
    expect(menu).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(menu).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("navigation").get_by_role("link", name="Dashboard")).to_be_focused()
    photograph(page, "menu-phone-light.png")
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    page.get_by_role("button", name="Press now").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#press-result")).to_contain_text("Accepted.")
    expect(page.locator("#live").get_by_role("link", name="Download").first).to_be_visible()
    # The live part is replaced every two seconds: whoever stands in it must not be thrown out.
    page.locator("#all-captures").focus()
    page.evaluate("window.before = document.getElementById('all-captures')")
    device.until(lambda: page.evaluate("document.getElementById('all-captures') !== window.before"))
    expect(page.locator("#all-captures")).to_be_focused()
    watched.close()


@pytest.mark.spec("W3")
def test_an_open_page_has_one_stream_and_a_log_in_that_ends_takes_nothing_along(watched: Watched) -> None:
    page = watched.window(logged_in=False)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition(watched.url)[2]))
    page.goto("/ring")
    log_in(page)
    packets = page.locator("#live").get_by_text("Packets since start").locator("xpath=../dd")
    before = packets.inner_text()
    expect(packets).not_to_have_text(before)
    streams = [each for each in asked if each.startswith("/live?")]
    assert streams == ["/live?part=%2Fring%2Flive"]
    assert "/ring/live" not in asked
    size = page.locator("[name='recording.ring_size_mib']")
    size.fill("63")
    other = page.context.new_page()
    other.goto("/")
    other.locator("details.account summary").click()
    other.get_by_role("button", name="Log out").click()
    page.bring_to_front()
    expect(page.locator("#ended")).to_contain_text("You are no longer logged in")
    expect(size).to_have_value("63")
    assert_accessible(page)
    page.get_by_role("link", name="Log in again").click()
    log_in(page)
    expect(page.locator("#typed-again")).to_be_visible()
    expect(size).to_have_value("63")
    page.reload()
    expect(size).not_to_have_value("63")
    watched.close()


@pytest.mark.spec("W3")
def test_a_page_without_a_stream_asks_by_itself(watched: Watched) -> None:
    page = watched.window()
    page.route("**/live?*", lambda route: route.fulfill(status=429))
    page.goto("/ring")
    packets = page.locator("#live").get_by_text("Packets since start").locator("xpath=../dd")
    before = packets.inner_text()
    expect(packets).not_to_have_text(before)
    watched.close()


def log_in(page: Page) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.spec("W1")
def test_the_menu_is_seen_as_a_whole_and_a_question_can_be_taken_back(page: Page) -> None:
    page.goto("/administration")
    menu = page.locator("#menu")
    assert menu.evaluate("menu => menu.scrollHeight <= menu.clientHeight")
    page.locator("#power-off").click()
    question = page.get_by_text("Switch the device off?")
    expect(question).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Cancel").locator("visible=true").click()
    expect(question).to_be_hidden()
    expect(page.locator("#power-off")).to_be_focused()


BROKEN_WORDS = """() => {
  const found = [], walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    if (text.parentElement.closest("code, pre")) continue;
    for (const word of text.data.matchAll(/[A-Za-z]{4,24}/g)) {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      const lines = new Set([...range.getClientRects()].map((each) => Math.round(each.top)));
      if (lines.size > 1) found.push(word[0]);
    }
  }
  return found;
}"""
"""Words of the page that begin on one line and end on another."""


@pytest.mark.spec("W7", "W8")
def test_no_word_of_the_manual_is_broken_on_a_phone(watched: Watched) -> None:
    page = watched.window(SMALL_PHONE)
    page.goto("/manual")
    paths = page.locator("main a[href^='/manual/']").evaluate_all(
        "links => links.map(link => new URL(link.href).pathname)"
    )
    assert len(paths) > 20
    for path in ["/manual", *dict.fromkeys(paths)]:
        if not path.endswith(".html"):
            page.goto(path)
            assert page.evaluate(BROKEN_WORDS) == [], path
    watched.close()


OFF_CENTRE = """() => {
  const found = [];
  for (const button of document.querySelectorAll("a.button, button, summary.button")) {
    const box = button.getBoundingClientRect(), range = document.createRange();
    const shown = [...button.querySelectorAll("svg")].map((each) => each.getBoundingClientRect());
    const walker = document.createTreeWalker(button, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      if (text.parentElement.closest(".visually-hidden") || !text.data.trim()) continue;
      range.selectNodeContents(text);
      shown.push(range.getBoundingClientRect());
    }
    const there = shown.filter((each) => each.width);
    if (!box.width || !there.length) continue;
    const left = Math.min(...there.map((each) => each.left)) - box.left;
    const right = box.right - Math.max(...there.map((each) => each.right));
    if (Math.abs(left - right) > 2) found.push([button.textContent.trim(), left, right]);
  }
  return found;
}"""
"""Buttons whose text and picture are not in their middle."""


@pytest.mark.spec("W7")
def test_what_stands_on_a_button_is_in_its_middle(page: Page) -> None:
    for each in PAGES:
        page.goto(each.path)
        assert page.evaluate(OFF_CENTRE) == [], each.path


@pytest.mark.spec("W9")
def test_a_configuration_goes_out_as_a_file_and_comes_back_after_a_look(
    device: Device, page: Page, tmp_path: Path
) -> None:
    device.allegro("settings", "set", "trigger.before_s=75", "notifications.mail.password=geheim")
    page.goto("/administration")
    page.get_by_role("link", name="Export, import, last changes").click()
    page.get_by_label("Password for the secrets").fill("of the file alone")
    with page.expect_download() as started:
        page.get_by_role("button", name="Export").click()
    file = tmp_path / started.value.suggested_filename
    started.value.save_as(file)
    assert "geheim" not in file.read_text()
    device.allegro("settings", "set", "trigger.before_s=60", "notifications.mail.password=")
    page.goto("/configuration")
    page.get_by_label("File", exact=True).set_input_files(file)
    expect(page.get_by_label("Its content")).to_have_value(re.compile("allegro_configuration"))
    page.get_by_label("Password of its secrets").fill("of the file alone")
    page.get_by_role("button", name="Show what would change").click()
    rows = page.locator("table.changes tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_have_text(re.compile(r"Before the press \(seconds\)\s+60\s*75"))
    photograph(page, "configuration-compare-desktop-light.png")
    assert_accessible(page)
    assert device.allegro("settings", "get", "trigger.before_s") == 60
    page.get_by_role("button", name="Import").click()
    expect(page.locator(".message.good")).to_contain_text("The configuration is imported.")
    assert device.allegro("settings", "get", "trigger.before_s") == 75
    newest = page.locator("#content ol.log > li").first
    newest.get_by_text("What was changed").click()
    assert_accessible(page)
    newest.get_by_role("button", name="Go back to before it").click()
    expect(page.locator(".message.good")).to_contain_text("The earlier settings are in force again.")
    assert device.allegro("settings", "get", "trigger.before_s") == 60


@pytest.mark.spec("W6", "N1", "X6")
def test_a_form_shows_the_fields_of_what_is_chosen(page: Page) -> None:
    def shown(*names: str) -> list[str]:
        return [name for name in names if page.locator(f"[name='{name}']").is_visible()]

    address, leases = "management.address", "management.lease_first"
    page.goto("/management")
    mode = page.locator("[name='management.mode']")
    for choice, expected in (("dhcp", []), ("static", [address]), ("server", [address, leases])):
        mode.select_option(choice)
        assert shown(address, leases) == expected, choice
    assert shown("management.second.address", "management.second.mode") == ["management.second.mode"]
    page.locator("[name='wifi.mode']").select_option("client")
    assert shown("wifi.access_point.ssid", "wifi.client.ssid") == ["wifi.client.ssid"]
    page.goto("/export")
    way = ("export.host", "export.authentication", "export.key_type", "export.url", "export.region")
    protocol = page.locator("[name='export.protocol']")
    for choice, among in (("sftp", way[:2]), ("webdav", way[3:4]), ("s3", way[3:])):
        protocol.select_option(choice)
        assert shown(*way) == list(among), choice
    protocol.select_option("sftp")
    page.locator("[name='export.authentication']").select_option("key")
    assert shown(*way) == [*way[:3]]
    protocol.select_option("webdav")
    page.locator("[name='export.enabled']").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#field-export-url-error")).to_be_visible()
    protocol.select_option("sftp")
    expect(page.locator("#field-export-url-error")).to_be_visible()


@pytest.mark.spec("F5")
def test_completion_counts_characters_as_the_device_does(page: Page) -> None:
    page.goto("/")
    box = page.get_by_role("combobox", name="Filter")
    box.press_sequentially('interface ~ "\U0001f600" and vl')
    page.get_by_role("option", name="vlan", exact=True).click()
    expect(box).to_have_value('interface ~ "\U0001f600" and vlan ')


@pytest.mark.spec("W14")
def test_a_page_that_is_loaded_again_starts_no_programs(device: Device, page: Page) -> None:
    """But those whose answer is another one each time, as the log's. What looks after disks, and the page's
    own look at its addresses, come by themselves; an answer that is kept may just have become too old."""
    by_themselves = {"lsblk", "smartctl", "systemctl", "networkctl"}

    def started(path: str) -> list[str]:
        before = len(device.started.read_text().splitlines())
        page.goto(path)
        now = device.started.read_text().splitlines()[before:]
        return [name for name in now if name not in by_themselves]

    assert "journalctl" in started("/log"), "they are noted"
    for path in ("/time", "/firmware", "/users", "/trigger", "/storage", "/capture", "/notifications"):
        assert any(started(path) == [] for _ in range(4)), path


@pytest.mark.spec("W7")
def test_help_opens_the_pages_own_section(page: Page) -> None:
    page.goto("/management")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Help").click()
    manual = opened.value
    expect(manual.get_by_role("heading", name="Management port")).to_be_in_viewport()
    assert manual.get_by_role("img").first.evaluate("shown => shown.decode().then(() => shown.naturalWidth)")
    page.goto("/")
    with page.expect_download() as started:
        page.get_by_role("link", name="download it as one file").click()
    assert started.value.suggested_filename == "allegro-manual.html"


def test_without_scripts_everything_can_be_done(device: Device, watched: Watched, chromium: Browser) -> None:
    context = chromium.new_context(
        ignore_https_errors=True, base_url=device.url, storage_state=watched.state, java_script_enabled=False
    )
    page = context.new_page()
    page.goto("/")
    page.get_by_role("navigation").get_by_role("link", name="USB capture trigger").click()
    page.get_by_label("After the press").fill("1")
    page.get_by_role("button", name="Save").click()
    assert "Saved." in page.locator(".message.good").inner_text()
    page.goto("/")
    page.get_by_role("button", name="Press now").click()
    assert "Accepted. The capture ends in 1 s" in page.locator(".message.good").inner_text()
    context.close()
    device.allegro("settings", "set", "trigger.after_s=0")


@pytest.mark.spec("W1", "W6")
@pytest.mark.usefixtures("watched")
def test_curl_downloads_a_capture_and_http_leads_to_https(device: Device, tmp_path: Path) -> None:
    certificate = tmp_path / "device.crt"
    certificate.write_bytes((device.paths.web / "certificate.pem").read_bytes())
    job = device.allegro("trigger", "--wait")
    secure = device.url.replace("localhost", "allegro.local")
    port = secure.rpartition(":")[2]
    there = ["--cacert", str(certificate), "--resolve", f"allegro.local:{port}:127.0.0.1"]

    def curl(*arguments: str) -> str:
        command = ["curl", "--silent", "--show-error", "--fail-with-body", *there, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    file = tmp_path / "curl.pcapng"
    curl("--user", f"admin:{PASSWORD}", "--output", str(file), f"{secure}/api/files/{job['file']}")
    assert file.read_bytes() == (device.paths.storage / job["file"]).read_bytes()

    def state() -> str:
        status = json.loads(curl("--user", f"admin:{PASSWORD}", f"{secure}/api/status"))
        return str(status["ring"]["state"])

    # On a busy machine the recorder is silent now and then.
    wait_for(lambda: state() == "recording", "a word of the recorder", 20)
    assert json.loads(curl(f"{secure}/api/status"))["error"]["message"] == "Log in first."
    redirected = curl(
        "--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}", f"{device.http_url}/ring?x=1"
    )
    assert redirected == f"308 {device.url}/ring?x=1"


@pytest.mark.spec("U2")
def test_firmware_files_are_taken_as_a_stream_and_leave_nothing_when_refused(
    device: Device, watched: Watched, tmp_path: Path
) -> None:
    """This machine has no slots, so it says no in the end; until then 40 MiB have passed both programs."""
    path = tmp_path / "large.raucb"
    with path.open("wb") as file:
        file.truncate(40 * MIB)

    def put(name: str, *arguments: str) -> tuple[str, str]:
        command = ["curl", "--silent", "--show-error", "--insecure", "--noproxy", "*", "--max-time", "60"]
        command += ["--write-out", "\n%{http_code}", "--upload-file", str(path), *arguments]
        done = subprocess.run(
            [*command, f"{device.url}/api/firmware/files/{name}"], capture_output=True, text=True
        )
        answer, _, code = done.stdout.rpartition("\n")
        return code, json.loads(answer)["error"]["message"]

    admin = ("--user", f"admin:{PASSWORD}")
    code, message = put("large.raucb", *admin)
    assert (code, "no slots for firmware" in message) == ("503", True)
    code, message = put("no-firmware.zip", *admin)
    assert (code, "is no name of a firmware file" in message) == ("422", True)
    assert put("large.raucb")[0] == "401"
    folder = device.paths.firmware
    assert [each.name for each in folder.iterdir() if "events" not in each.name] == []
    # One that breaks off in the middle.
    with pytest.raises(json.JSONDecodeError):
        put("large.raucb", *admin, "--limit-rate", "4M", "--max-time", "2")
    device.until(lambda: "did not arrive completely" in json.dumps(device.allegro("status")["actions"]))
    assert [each.name for each in folder.iterdir() if "events" not in each.name] == []


@pytest.mark.spec("U2")
@pytest.mark.usefixtures("watched")
def test_an_upload_whose_sender_fell_silent_ends(device: Device) -> None:
    """As when a laptop falls asleep: the connection stays, and nothing comes any more."""
    host = device.url.removeprefix("https://")
    login = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    unchecked = ssl._create_unverified_context()
    with closing(HTTPSConnection(host, timeout=120 * PATIENCE, context=unchecked)) as sender:
        sender.putrequest("PUT", "/api/firmware/files/asleep.raucb")
        sender.putheader("Authorization", f"Basic {login}")
        sender.putheader("Content-Length", str(MIB))
        sender.endheaders(b"half")
        answer = sender.getresponse()
        error = json.load(answer)["error"]
    assert (answer.status, error["remedy"]) == (422, "Send it again.")
    device.until(
        lambda: "asleep.raucb did not arrive completely" in json.dumps(device.allegro("status")["actions"])
    )


@pytest.mark.spec("U2")
def test_an_upload_from_the_page_is_not_broken_off_by_the_page(page: Page, tmp_path: Path) -> None:
    """It takes longer than the page waits before it looks for news, and is refused at its end."""
    path = tmp_path / "large.raucb"
    with path.open("wb") as file:
        file.truncate(24 * MIB)
    page.goto("/firmware")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 3 * MIB}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    page.get_by_label("Firmware file (.raucb)").set_input_files(path)
    page.get_by_role("button", name="Upload").click()
    told = page.locator("form[data-upload] [role=status]")
    expect(told).to_contain_text("no slots for firmware", timeout=60_000 * PATIENCE)
    photograph(page, "firmware-refused-desktop-light.png")


def test_the_web_page_runs_without_rights(device: Device, page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Press now").click()
    expect(page.locator("#press-result")).to_contain_text("Accepted.")
    assert (device.paths.web / "users.json").stat().st_uid == NOBODY
    assert (device.paths.web / "certificate.pem").stat().st_mode & 0o777 == 0o600
    log = device.log.read_text()
    assert re.search(r"admin: POST /api/trigger: 202", log), "the supervisor's log says who"


@pytest.mark.spec("W3", "F5")
def test_a_mistake_in_a_filter_is_shown_at_its_field_and_goes_with_it(watched: Watched) -> None:
    page = watched.window(DESKTOP)
    page.goto("/")
    field, error = page.get_by_label("Filter"), page.locator("#filter-error")
    expect(error).to_be_hidden()
    field.fill("ip = 10.0.0.1")
    page.get_by_role("button", name="Press now").click()
    expect(error).to_contain_text("Column 4")
    expect(page.locator("#press-result")).to_be_empty()
    assert_accessible(page)
    field.fill("ip == 10.0.0.1")
    page.get_by_role("button", name="Press now").click()
    expect(page.locator("#press-result")).to_contain_text("Accepted.")
    expect(error).to_be_hidden()
    expect(page.locator("#live code").first).to_have_text("ip == 10.0.0.1")
