"""The web page of the image, opened through the management port, on a phone and on a desktop.

What does not need the real device (every form and every mistake at its field, every page in either size and
scheme, keyboard alone, without scripts) is in tests/host/test_web_page.py; set-up, packets, upload, update
and reset are in test_story.py.
"""

import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from allegro.web.pages import PAGES
from tests.conftest import REPORT, Lab
from tests.harness.browser import (
    DESKTOP,
    PHONE,
    SMALL_PHONE,
    assert_accessible,
    chromium_browser,
    photograph,
)
from tests.harness.device import Device
from tests.harness.frames import series
from tests.harness.sending import FrameStream
from tests.harness.visitor import WAIT_MS, Visitor, log_in
from tests.harness.waiting import PATIENCE, wait_for

PASSWORD = "correct horse battery"
SHOWN = REPORT / "web-vm"
BIND_ONLY = 1 << 10
"""CAP_NET_BIND_SERVICE (capabilities(7)) and nothing else."""


@dataclass(frozen=True)
class Typed:
    """An input of a form and what is saved; what is refused there before, with which words."""

    path: str
    name: str
    right: str
    button: str = "Save"
    wrong: str = ""
    says: str = ""

    def saved(self, settings: Any) -> str:
        """What the device has saved, as the input shows it."""
        for part in self.name.split("."):
            settings = settings[int(part) if part.isdecimal() else part]
        return "\n".join(settings) if isinstance(settings, list) else str(settings)


FORMS = (
    Typed("/ring", "recording.ring_size_mib", "900"),
    Typed("/links", "links.pairs.0.pair", "1"),
    Typed("/management", "management.confirm_s", "300"),
    Typed("/management", "wifi.access_point.ssid", "Messwagen", "Apply to WiFi", "ü" * 17, "34 bytes long"),
    Typed("/export", "export.host", "files.example.net"),
    Typed("/trigger", "trigger.before_s", "90"),
    # The zones are those of the image.
    Typed("/time", "time.zone", "Europe/Berlin", "Save", "Europe/Berln", "do you mean Europe/Berlin?"),
    Typed("/firmware", "firmware.server", "https://updates.example/a/"),
)


def has_tls(port: int) -> bool:
    try:
        return bool(ssl.get_server_certificate(("127.0.0.1", port), timeout=5))
    except OSError:
        return False


def curl(*arguments: str) -> str:
    command = ["curl", "--silent", "--insecure", "--max-time", "60", *arguments]
    return subprocess.run(command, capture_output=True, text=True).stdout


def first_visit(page: Page, folder: Path) -> Path:
    """First login, new password, press, download: the file."""
    page.goto("/")
    expect(page.get_by_text("This device is new")).to_be_visible()
    assert_accessible(page)
    log_in(page, "allegro")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("once more").fill(PASSWORD)
    page.get_by_role("button", name="Save password").click()
    expect(page.get_by_text("Your new password is saved.")).to_be_visible()
    page.get_by_role("link", name="Later").click()
    page.get_by_role("button", name="Press now").click()
    # In the page, or at its top if the button was faster than the page's scripts.
    expect(page.locator(".message.good", has_text="Accepted.")).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("region", name="Last captures").get_by_role("link", name="Download").first.click()
    file = folder / started.value.suggested_filename
    started.value.save_as(file)
    page.goto("/storage")
    expect(page.locator(".file-name", has_text=file.name)).to_be_visible()
    return file


def fill_in(page: Page, typed: Typed, device: Device) -> None:
    """A mistake is shown at its field; what is right is saved and read back."""
    page.goto(typed.path)
    field = page.locator(f"[name='{typed.name}']")
    save = page.get_by_role("button", name=typed.button, exact=True)
    if typed.wrong:
        field.fill(typed.wrong)
        save.click()
        expect(field).to_have_attribute("aria-invalid", "true")
        described = (field.get_attribute("aria-describedby") or "").split()
        expect(page.locator(f"#{described[-1]}")).to_contain_text(typed.says, ignore_case=True)
    field.fill(typed.right)
    save.click()
    expect(page.locator(".message.good")).to_contain_text("Saved.")
    expect(field).to_have_value(typed.right)
    assert typed.saved(device.get("/settings")) == typed.right


def other_forms(page: Page, device: Device) -> None:
    """Names of ports, a temporary address, a user: what is no setting."""
    page.goto("/links")
    known_by = {port["key"]: port["name"] for port in device.get("/network")["ports"]}
    page.get_by_label("port3 becomes").select_option("port4")
    page.get_by_role("button", name="Change the assignment").click()
    expect(page.locator("#field-ports-port3-error")).to_contain_text("Two ports would be port4")
    page.get_by_label("port4 becomes").select_option("port3")
    page.get_by_role("button", name="Change the assignment").click()
    expect(page.locator(".message.good")).to_contain_text("The ports have their new names.")
    swapped = {"port3": "port4", "port4": "port3"}
    assert {port["key"]: port["name"] for port in device.get("/network")["ports"]} == {
        key: swapped.get(name, name) for key, name in known_by.items()
    }
    page.goto("/management")
    expect(page.locator("#addresses")).to_contain_text("10.0.2.15/24")
    page.get_by_role("button", name="Get a temporary address").click()
    expect(page.locator("#temporary")).to_contain_text("192.168.77.1/24")
    page.get_by_role("button", name="Give it back").click()
    expect(page.locator(".message.good")).to_contain_text("The temporary address is given back.")
    page.goto("/users")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password for the first login").fill("short")
    page.get_by_role("button", name="Add user").click()
    expect(page.locator("#new-password-error")).to_contain_text("at least 8 characters")
    page.get_by_label("Password for the first login").fill("long enough")
    page.get_by_role("button", name="Add user").click()
    expect(page.locator(".message.good")).to_contain_text("anna can log in now")


def tour(page: Page) -> None:
    """Every page: accessible, nothing wider than a small phone, photographed in both sizes."""
    for path in [*(each.path for each in PAGES), "/manual/dashboard"]:
        page.goto(path)
        if path == "/":
            expect(page.locator("#graph-legend li").first).to_be_visible()
        name = path.strip("/").replace("/", "-") or "dashboard"
        photograph(page, SHOWN / f"{name}-desktop.png")
        assert_accessible(page)
        page.set_viewport_size(SMALL_PHONE)  # type: ignore[arg-type]
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL_PHONE["width"], path
        photograph(page, SHOWN / f"{name}-phone.png")
        page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


def rights(lab: Lab) -> tuple[str, int]:
    """User and effective capabilities of the web page's process."""
    pid = lab.machine.run("systemctl show --property MainPID --value allegro-web").stdout.strip()
    user = lab.machine.run(f"stat -c %U /proc/{pid}").stdout.strip()
    status = lab.machine.run(f"cat /proc/{pid}/status").stdout
    found = re.search(r"CapEff:\s*([0-9a-f]+)", status)
    assert found
    return user, int(found[1], 16)


def check_confinement(lab: Lab, https: int) -> None:
    """The page's process has no rights, and its death is noticed by nobody but its visitors."""
    machine = lab.machine
    assert rights(lab) == ("allegro-web", BIND_ONLY)
    assert machine.run("stat -c '%a %U %G' /run/allegro/api.sock").stdout.strip() == "660 root allegro-web"
    assert machine.run("stat -c '%a %U' /data/web").stdout.strip() == "700 allegro-web"
    listening = machine.run("ss -Hltun 'sport = :443 or sport = :80'").stdout
    assert len(listening.splitlines()) == 2, listening

    # A restart keeps certificate and users; the recorder does not notice.
    recorder = machine.run("systemctl show --property MainPID --value allegro-recorder").stdout
    before = ssl.get_server_certificate(("127.0.0.1", https))
    machine.run("systemctl kill --signal=KILL allegro-web")
    wait_for(lambda: has_tls(https), "the web page after its death", 120)
    assert ssl.get_server_certificate(("127.0.0.1", https)) == before
    status = json.loads(curl("--user", f"admin:{PASSWORD}", f"https://127.0.0.1:{https}/api/status"))
    assert status["name"].startswith("allegro-mm-")
    assert machine.run("systemctl show --property MainPID --value allegro-recorder").stdout == recorder
    plain = ("--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}")
    http = machine.forward(80)
    assert curl(*plain, f"http://127.0.0.1:{http}/ring") == "308 https://127.0.0.1/ring"
    assert machine.run("journalctl _SYSTEMD_UNIT=allegro-web.service -p warning -q --no-pager").stdout == ""


@pytest.fixture
def https(lab: Lab) -> int:
    """The port of this computer that leads to the page."""
    port = lab.machine.forward(443)
    wait_for(lambda: has_tls(port), "the web page", 120)
    return port


@pytest.fixture
def visitor(https: int) -> Iterator[Visitor]:
    """Somebody at the page, who has not asked for anything elsewhere in the end."""
    with chromium_browser(WAIT_MS) as browser:
        visitor = Visitor(browser, f"https://127.0.0.1:{https}")
        yield visitor
    assert visitor.foreign == [], "requests left the device"


@pytest.mark.spec("W1", "W2", "W3", "W6", "W7", "L2", "L3", "N3", "N7")
@pytest.mark.timeout(1800 * PATIENCE)
def test_the_page_of_the_image(lab: Lab, https: int, visitor: Visitor, tmp_path: Path) -> None:
    lab.ports[0].send_all(series(200))
    lab.device.wait_recorded(200)

    with visitor.window(PHONE) as page:
        file = first_visit(page, tmp_path)
    shown = subprocess.run(["capinfos", str(file)], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"Number of packets:\s+200\b", shown.stdout)

    with FrameStream(lab.ports[0], 1, rate=25, size=1000), visitor.window(DESKTOP) as page:
        for typed in FORMS:
            fill_in(page, typed, lab.device)
        other_forms(page, lab.device)
        tour(page)
    check_confinement(lab, https)
