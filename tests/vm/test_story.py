"""One device, from the box to the reset, as its user sees it: pictures of the manual are taken on the way.

What each step does besides is shown elsewhere; here one follows from the other, on the image, with a phone in
the device's WiFi, a presenter, a line that is watched, a server, and a computer at the management port.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from allegro import joining
from tests.conftest import REPORT, Lab, StartLab
from tests.harness import image_under_test, qr_reader, updating
from tests.harness.browser import (
    DESKTOP,
    PHONE,
    Thumb,
    assert_accessible,
    chromium_browser,
    photograph,
    picture,
    picture_of,
)
from tests.harness.bundle_maker import BundleMaker
from tests.harness.captures import check, protocol_table
from tests.harness.powercut_scenarios import boot_id, wait_other_boot
from tests.harness.qemu import VirtualMachine
from tests.harness.radios import Neighbour, Radios, wait_state
from tests.harness.sftp_server import SftpServer
from tests.harness.topology import SERVER_ADDRESS, Topology
from tests.harness.visitor import WAIT_MS, Visitor, log_in
from tests.harness.waiting import PATIENCE, wait_for

PASSWORD = "correct horse battery"
NAME = "https://allegro"
PROBE = "http://connectivitycheck.gstatic.com/generate_204"
BROWSERS_OWN = {"content-autofill.googleapis.com:443"}
"""What chromium asks for by itself where there is a form; no page does."""
HOST = "10.0.2.2"
"""The bench, as the device sees it."""
HIGH = {"width": 1280, "height": 1400}
"""For a picture of a list with what belongs to it below."""
INSTALL_MS = 300_000 * PATIENCE
SHOWN = REPORT / "story"
PICTURES = SHOWN / "pictures"
"""What docs/images holds; `make pictures` puts it there."""


def codes_on_the_monitor(machine: VirtualMachine, browser: Browser) -> list[str]:
    """To join the WiFi, and to open the page."""
    shown = SHOWN / "monitor.png"
    shown.parent.mkdir(parents=True, exist_ok=True)

    def both() -> list[str] | None:
        machine.send_keys("q")
        machine.screenshot(shown)
        found = qr_reader.texts(shown.read_bytes())
        return found if len(found) == 2 else None

    found = wait_for(both, "two codes on the monitor", 90, 3)
    picture_of(browser, shown, PICTURES / "monitor.webp")
    return found


def joined_by_code(lab: Lab, code: str) -> Neighbour:
    """A phone whose camera has read the code, in the network."""
    read = re.fullmatch(r"WIFI:T:WPA;S:([^;]+);P:([^;]+);;", code)
    assert read
    phone = Neighbour(lab.machine)
    phone.join(read[1], read[2])
    wait_for(phone.is_joined, "joining by the code", 60)
    phone.lease()
    return phone


def welcomed(page: Page) -> None:
    """The phone asks whether there is the internet, is told where it is, and stays."""
    page.goto(PROBE)
    expect(page.get_by_role("heading", name="You are in the WiFi of allegro-mm-")).to_be_visible()
    expect(page.get_by_role("link", name=f"{NAME}/")).to_have_attribute("href", f"{NAME}/")
    assert_accessible(page)
    picture(page, PICTURES / "welcome-phone.webp")
    Thumb(page).press(page.get_by_role("button", name="Stay connected"))
    expect(page.get_by_text("This phone or computer stays connected.")).to_be_visible()
    assert_accessible(page)


class SetUp:
    """The set-up on a phone, by keyboard alone."""

    def __init__(self, page: Page, lab: Lab, line: Topology, sftp: SftpServer) -> None:
        self._page = page
        self._lab = lab
        self._line = line
        self._sftp = sftp
        self._thumb = Thumb(page)
        self._live = page.locator("#live")

    def passwords(self, ssid: str) -> None:
        """The page's and the WiFi's."""
        page, thumb = self._page, self._thumb
        page.goto("/")
        expect(page.get_by_text("This device is new")).to_be_visible()
        self._looks_right("log-in")
        thumb.type(page.get_by_label("User name"), "admin")
        thumb.type(page.get_by_label("Password"), "allegro")
        thumb.press(self._button("Log in"))
        expect(page.get_by_role("heading", name="Choose your own password")).to_be_visible()
        code = page.get_by_role("img", name="QR code to join the WiFi network")
        made = page.locator("#wifi-password").inner_text()
        assert qr_reader.texts(code.screenshot()) == [joining.wifi(ssid, made)]
        self._looks_right("passwords")
        thumb.type(page.get_by_label("New password", exact=True), PASSWORD)
        thumb.type(page.get_by_label("once more"), PASSWORD)
        thumb.press(self._button("Save password"))

    def steps(self) -> dict[str, Any]:
        """Clock, links, presenter, server, and a press: the capture that came of it."""
        page, thumb, presenter = self._page, self._thumb, self._lab.machine.presenter
        self._step("Clock and time zone")
        thumb.press(page.get_by_role("button", name="zone of this browser"))
        self._step("Links")
        expect(self._live).to_contain_text("port1 and port2 see traffic.")
        picture(page, PICTURES / "set-up-phone.webp")
        thumb.press(self._button("Next"))
        self._step("Presenter")
        presenter.plug()
        expect(self._live).to_contain_text("Press a key of the presenter now.")
        presenter.press("next")
        expect(self._live).to_contain_text("Heard: key next on")
        assert_accessible(page)
        thumb.press(self._button("Next"))
        self._step("Where captures go")
        typed = {
            "Server": HOST,
            "Port": str(self._sftp.port),
            "User name": self._sftp.user,
            "Password": self._sftp.password,
        }
        for label, text in typed.items():
            thumb.type(page.get_by_label(label, exact=True), text)
        thumb.press(self._button("Save and test"))
        expect(page.get_by_text(self._sftp.fingerprint)).to_be_visible()
        assert_accessible(page)
        thumb.press(self._button("Accept this key"))
        self._step("Try it: press now")
        before = self._lab.device.last_job()
        self._line.talk()
        presenter.press("next")
        expect(self._live).to_contain_text("The file is to be sent: each day at")
        assert_accessible(page)
        (job,) = self._lab.device.wait_jobs(1, after=before)
        thumb.press(self._button("Finish"))
        expect(page.get_by_text("The set-up is finished.")).to_be_visible()
        assert thumb.taps <= 12
        return job

    def _button(self, name: str) -> Locator:
        return self._page.get_by_role("button", name=name, exact=True)

    def _step(self, title: str) -> None:
        expect(self._page.get_by_role("heading", name=title)).to_be_visible()
        self._looks_right(title.split()[0].lower())

    def _looks_right(self, name: str) -> None:
        assert self._page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        assert_accessible(self._page)
        photograph(self._page, SHOWN / f"{name}-phone.png")


def looked_at(page: Page, file: str) -> None:
    """Packets of the capture, one of them, and the conversation that it is part of."""
    page.goto("/storage")
    expect(page.locator("li", has_text=file)).to_contain_text("waits for upload")
    assert_accessible(page)
    picture(page, PICTURES / "storage-desktop.webp")
    page.get_by_role("link", name=f"Packets of {file}").click()
    page.get_by_label("Filter").fill("port == 80")
    page.get_by_role("button", name="Show").click()
    request = page.get_by_role("row").filter(has_text="GET / HTTP").first
    expect(request).to_contain_text(SERVER_ADDRESS)
    request.get_by_role("link").click()
    page.get_by_role("link", name="Follow the TCP stream").click()
    said = page.get_by_label(f"From {SERVER_ADDRESS}:80").filter(has_text="Hello from the server.")
    expect(said.first).to_be_visible()
    assert_accessible(page)
    page.get_by_role("link", name="Only packets of this stream").click()
    request.get_by_role("link").click()
    expect(page.locator("#packet-title")).to_be_focused()
    expect(page.locator("pre.dump").first).to_contain_text("GET / HTTP")
    assert_accessible(page)
    page.set_viewport_size(HIGH)  # type: ignore[arg-type]
    picture(page, PICTURES / "packets-desktop.webp", 50)
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


def sent(page: Page, lab: Lab, sftp: SftpServer, job: dict[str, Any], folder: Path) -> None:
    """The server has the file that was on the device, and it holds what went over the line."""
    original = lab.device.fetch(job, folder)
    page.goto("/export")
    expect(page.locator("#live")).to_contain_text(original.name)
    assert_accessible(page)
    page.get_by_role("button", name="Upload now").click()
    expect(page.locator("#live")).to_contain_text("No file waits to be sent.")
    assert (sftp.root / original.name).read_bytes() == original.read_bytes()
    check(sftp.root / original.name, clock_set_back=None)  # by the set-up, if the browser's was behind
    seen = {line.protocol.partition("/")[0] for line in protocol_table(sftp.root / original.name)}
    assert {"ICMP", "DNS", "HTTP"} <= seen


def photographed(page: Page) -> None:
    """What the manual shows of a device in use."""
    for path, name in (("/", "dashboard"), ("/capture", "capture"), ("/links", "links")):
        page.goto(path)
        if path == "/":
            expect(page.locator("#graph-legend li").first).to_be_visible()
        if path == "/capture":
            expect(page.locator("#timeline-words")).to_contain_text("From 20")
        assert_accessible(page)
        photograph(page, SHOWN / f"{name}-desktop.png")
        picture(page, PICTURES / f"{name}-desktop.webp")


def let_restart(page: Page, machine: VirtualMachine, button: Locator) -> None:
    """The button lets the device restart. On a busy host its answer may come too late to be seen."""
    before = boot_id(machine)
    button.click(no_wait_after=True)
    wait_other_boot(machine, before)
    page.goto("about:blank")


def install(page: Page, bundle: Path, machine: VirtualMachine) -> None:
    """The bundle is uploaded, installed and started."""
    page.goto("/login?next=/firmware")
    log_in(page, PASSWORD)
    page.get_by_label("Firmware file (.raucb)").set_input_files(bundle)
    page.get_by_role("button", name="Upload").click()
    versions = page.get_by_role("region", name="Versions at hand").locator("li")
    row = versions.filter(has_text=bundle.name)
    expect(row).to_be_visible(timeout=INSTALL_MS)
    assert_accessible(page)
    row.locator("summary", has_text="Install").click()
    row.get_by_role("button", name="Yes, install").click()
    slot = versions.filter(has_text="Slot B")
    activate = slot.locator("summary", has_text="Activate")
    expect(activate).to_be_visible(timeout=INSTALL_MS)
    photograph(page, SHOWN / "firmware-installed-desktop.png")
    picture(page, PICTURES / "firmware-desktop.webp")
    activate.click()
    let_restart(page, machine, slot.get_by_role("button", name="Yes, activate"))


def reset(page: Page, machine: VirtualMachine) -> None:
    """The version runs that was installed, and the configuration is reset."""
    page.goto("/login?next=/firmware")
    log_in(page, PASSWORD)
    slot = page.get_by_role("region", name="Versions at hand").locator("li", has_text="Slot B")
    expect(slot).to_contain_text("running now")
    page.goto("/administration")
    page.locator("#reset").click()
    let_restart(page, machine, page.get_by_role("button", name="Yes, reset"))


def is_new(page: Page) -> None:
    """The first log-in holds again, and the set-up begins anew."""
    page.goto("/")
    expect(page.get_by_text("This device is new")).to_be_visible()
    log_in(page, "allegro")
    expect(page.get_by_role("heading", name="Choose your own password")).to_be_visible()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Topology]:
    """What is watched: a client and a server, which always say something."""
    with Topology(tmp_path / "network") as made:
        made.start_servers()
        yield made


@pytest.mark.spec("N8", "N2", "W11", "T1", "T2", "W12", "W5", "X1", "W8", "W9", "U2", "U5")
@pytest.mark.timeout(1800 * PATIENCE)
def test_from_the_box_to_the_reset(
    start_lab: StartLab, line: Topology, sftp: SftpServer, tmp_path: Path
) -> None:
    lab = start_lab(ports=list(line.ports))
    machine, device = lab.machine, lab.device
    defaults = device.get("/settings")
    bundle = BundleMaker().shipped()
    for port in ("port3", "port4"):
        machine.set_link(port, False)
    Radios(machine).plug_in()
    ssid = wait_state(device.get, "on")["ssid"]
    line.wait_connected()
    line.client.spawn(["ping", "-q", "-i", "0.5", SERVER_ADDRESS], tmp_path / "ping.log")
    certificate = machine.pull("/data/web/certificate.pem").decode()

    with chromium_browser(WAIT_MS, certificate) as browser:
        wifi, page_code = codes_on_the_monitor(machine, browser)
        assert page_code == "https://192.168.78.1/"
        phone = joined_by_code(lab, wifi)
        visitor = Visitor(
            browser,
            NAME,
            "http://192.168.78.1",
            PROBE.rpartition("/")[0],
            proxy=f"socks5://127.0.0.1:{phone.proxy()}",
        )
        with visitor.window(PHONE, time_zone="Europe/Berlin") as page:
            welcomed(page)
            set_up = SetUp(page, lab, line, sftp)
            set_up.passwords(ssid)
            job = set_up.steps()
            page.emulate_media(color_scheme="dark")
            page.goto("/")
            expect(page.locator("#graph-legend li").first).to_be_visible()
            assert_accessible(page)
            picture(page, PICTURES / "dashboard-phone.webp")
        assert device.get("/settings")["time"]["zone"] == "Europe/Berlin"
        with visitor.window(DESKTOP) as page:
            looked_at(page, str(job["file"]))
            photographed(page)
            sent(page, lab, sftp, job, tmp_path)
        assert phone.is_joined()
        assert "CTRL-EVENT-DISCONNECTED" not in phone.words()
        asked = {"allegro:443", "192.168.78.1:80", "connectivitycheck.gstatic.com:80"}
        assert phone.asked() - BROWSERS_OWN == asked
        assert (visitor.foreign, visitor.complaints) == ([], [])

        desk = Visitor(browser, f"https://127.0.0.1:{machine.forward(443)}")
        with desk.window(DESKTOP) as page:
            install(page, bundle, machine)
        updating.wait_confirmed(device, image_under_test.VERSION, "slot-b")
        captures = device.get("/files")
        device.set({"recording": {"ring_size_mib": 900}, "trigger": {"before_s": 90}})
        with desk.window(DESKTOP) as page:
            reset(page, machine)
        device.wait_ready(ports=0)
        after = device.get("/settings")
        ring = {each["recording"].pop("ring_size_mib") for each in (after, defaults)}
        assert min(ring) >= 1024, "the size set above stayed"  # that of a ring that is there may differ
        assert after == defaults
        assert device.get("/files") == captures
        with desk.window(PHONE) as page:
            is_new(page)
        assert desk.foreign == []
