"""The web page of the image, opened through the management port, as a phone would."""

import json
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.conftest import REPORT, Lab, StartLab
from tests.harness.frames import series
from tests.harness.qemu import Configuration
from tests.harness.waiting import wait_for

PASSWORD = "correct horse battery"
PHONE = {"width": 390, "height": 844}
BIND_ONLY = 1 << 10
"""CAP_NET_BIND_SERVICE (capabilities(7)) and nothing else."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def has_tls(port: int) -> bool:
    try:
        return bool(ssl.get_server_certificate(("127.0.0.1", port), timeout=5))
    except OSError:
        return False


def curl(port: int, path: str, *arguments: str) -> str:
    command = [
        "curl",
        "--silent",
        "--insecure",
        "--max-time",
        "60",
        *arguments,
        f"https://127.0.0.1:{port}{path}",
    ]
    return subprocess.run(command, capture_output=True, text=True).stdout


def first_visit(port: int, folder: Path) -> Path:
    """First login, new password, press, download: the file."""
    report = REPORT / "web-vm"
    report.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(
            ignore_https_errors=True,
            viewport=PHONE,  # type: ignore[arg-type]
            base_url=f"https://127.0.0.1:{port}",
        )
        context.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        foreign: list[str] = []
        context.on("request", lambda request: foreign.append(request.url))
        page = context.new_page()
        page.goto("/")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill("allegro")
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("New password", exact=True).fill(PASSWORD)
        page.get_by_label("once more").fill(PASSWORD)
        page.get_by_role("button", name="Save password").click()
        expect(page.get_by_text("Your new password is saved.")).to_be_visible()
        page.get_by_role("button", name="Press now").click()
        # In the page, or at its top if the button was faster than the page's scripts.
        expect(page.locator(".message.good", has_text="Accepted.")).to_be_visible()
        with page.expect_download() as started:
            page.get_by_role("region", name="Last captures").get_by_role(
                "link", name="Download"
            ).first.click()
        file = folder / started.value.suggested_filename
        started.value.save_as(file)
        expect(page.locator("#graph-legend li").first).to_be_visible()
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=report / "dashboard-phone.png", full_page=True)
        page.goto("/manual/dashboard")
        expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
        context.close()
        browser.close()
    assert [url for url in foreign if not url.startswith(f"https://127.0.0.1:{port}/")] == []
    return file


def rights(lab: Lab) -> tuple[str, int]:
    """User and effective capabilities of the web page's process."""
    pid = lab.machine.run("systemctl show --property MainPID --value allegro-web").stdout.strip()
    user = lab.machine.run(f"stat -c %U /proc/{pid}").stdout.strip()
    status = lab.machine.run(f"cat /proc/{pid}/status").stdout
    found = re.search(r"CapEff:\s*([0-9a-f]+)", status)
    assert found
    return user, int(found[1], 16)


@pytest.mark.spec("W1", "W3", "W6", "W7", "L3")
def test_the_page_of_the_image(start_lab: StartLab, tmp_path: Path) -> None:
    https, http = free_port(), free_port()
    lab = start_lab(boot=True, configuration=Configuration(forwards=((https, 443), (http, 80))))
    wait_for(lambda: has_tls(https), "the web page", 120)
    lab.ports[0].send_all(series(200))
    lab.device.wait_recorded(200)

    file = first_visit(https, tmp_path)
    shown = subprocess.run(["capinfos", str(file)], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"Number of packets:\s+200\b", shown.stdout)

    user, capabilities = rights(lab)
    assert (user, capabilities) == ("allegro-web", BIND_ONLY)
    assert (
        lab.machine.run("stat -c '%a %U %G' /run/allegro/api.sock").stdout.strip() == "660 root allegro-web"
    )
    assert lab.machine.run("stat -c '%a %U' /data/web").stdout.strip() == "700 allegro-web"
    listening = lab.machine.run("ss -Hltun 'sport = :443 or sport = :80'").stdout
    assert len(listening.splitlines()) == 2, listening

    # A restart keeps certificate and users; the recorder does not notice.
    recorder = lab.machine.run("systemctl show --property MainPID --value allegro-recorder").stdout
    before = ssl.get_server_certificate(("127.0.0.1", https))
    lab.machine.run("systemctl kill --signal=KILL allegro-web")
    wait_for(lambda: has_tls(https), "the web page after its death", 120)
    assert ssl.get_server_certificate(("127.0.0.1", https)) == before
    status = json.loads(curl(https, "/api/status", "--user", f"admin:{PASSWORD}"))
    assert status["name"].startswith("allegro-mm-")
    assert lab.machine.run("systemctl show --property MainPID --value allegro-recorder").stdout == recorder
    plain = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}"]
    redirected = subprocess.run([*plain, f"http://127.0.0.1:{http}/ring"], capture_output=True, text=True)
    assert redirected.stdout == "308 https://127.0.0.1/ring"
    assert (
        lab.machine.run("journalctl _SYSTEMD_UNIT=allegro-web.service -p warning -q --no-pager").stdout == ""
    )
