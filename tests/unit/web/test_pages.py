import html
import io
import json
import os
import re
import zipfile
from pathlib import Path
from urllib.parse import urlencode

import pytest

from allegro.accounts.roles import ROLES, includes
from allegro.export.queue import UploadQueue
from allegro.storage import capture_files
from allegro.storage.capture_files import FileInfo
from allegro.storage.disks import Disk
from allegro.system.configuration_reset import KEEPS
from allegro.system.health import Problem
from allegro.web.menu import Heading, menu
from allegro.web.pages import PAGES, administration
from allegro.web.site import Page
from tests.unit.storage.playing_disks import FOR_THE_RING, VOLUMES
from tests.unit.web.world import PASSWORD, Browser, World

W2_NAMES = {
    "Dashboard",
    *("Generic", "Capture", "Packet ring buffer", "Storage"),
    *("Settings", "Links and groups", "Management interface settings"),
    *(
        "Remote access and export",
        "Pcap export via SFTP",
        "Notifications",
        "Expert settings",
        "USB capture trigger",
    ),
    *("Time", "Users", "Administration", "Firmware updates", "Info", "System info", "Log", "Manual"),
}


def names(items: list[Page | Heading[Page]]) -> list[str]:
    return [
        name
        for item in items
        for name in ([item.title, *names(item.items)] if isinstance(item, Heading) else [item.title])
    ]


@pytest.mark.spec("W2")
def test_the_menu_has_the_names_that_are_used_everywhere() -> None:
    listed = names(menu([page for page in PAGES if not page.below]))
    assert set(listed) == W2_NAMES
    assert len(listed) == len(W2_NAMES)
    assert {page.below for page in PAGES} <= {"", *(page.path for page in PAGES)}


def test_every_page_opens_for_every_role(world: World) -> None:
    for role in ROLES:
        browser = world.user(role)
        for page in PAGES:
            allowed = includes(role, page.role)
            assert browser.get(page.path).status_code == (200 if allowed else 403), (role, page.path)


def test_no_page_holds_scripts_or_styles_of_its_own(world: World) -> None:
    browser = world.user("admin")
    for page in PAGES:
        text = browser.page(page.path)
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", text), page.path
        assert not re.search(r'(src|href|action|hx-\w+)="(https?:)?//', text), page.path


@pytest.mark.parametrize(
    ("path", "data", "section", "expected"),
    [
        ("/ring", {"recording.ring_size_mib": "64"}, "recording", {"ring_size_mib": 64}),
        (
            "/storage",
            {"storage.limit_mib": "500", "storage.uploaded": "make-room"},
            "storage",
            {"limit_mib": 500, "uploaded": "make-room"},
        ),
        ("/links", {"links.mode": "sink", "sure": "yes"}, "links", {"mode": "sink"}),
        (
            "/management",
            {
                "management.mode": "static",
                "management.address": "192.0.2.5/24",
                "management.dns": "192.0.2.1",
            },
            "management",
            {"mode": "static", "address": "192.0.2.5/24", "dns": ["192.0.2.1"]},
        ),
        (
            "/export",
            {
                "export.host": "files.example",
                "export.username": "me",
                "export.enabled": "on",
                "export.time": "03:30",
            },
            "export",
            {"host": "files.example", "username": "me", "enabled": True, "time": "03:30"},
        ),
        (
            "/trigger",
            {"trigger.before_s": "30", "trigger.after_s": "5"},
            "trigger",
            {"before_s": 30, "beep": False},
        ),
    ],
)
def test_forms_are_saved(
    world: World, path: str, data: dict[str, str], section: str, expected: dict[str, object]
) -> None:
    browser = world.user("admin")
    saved = browser.post(path, None, **data)
    assert (saved.status_code, saved.headers["location"]) == (303, path)
    now = world.device.get("/settings")[section]
    assert {name: now[name] for name in expected} == expected
    assert "Saved." in browser.page(path)
    assert "Saved." not in browser.page(path)


def test_a_mistake_is_shown_with_what_was_typed_and_nothing_is_saved(world: World) -> None:
    browser = world.user("admin")
    answer = browser.post("/trigger", None, **{"trigger.before_s": "a lot", "trigger.after_s": "5"})
    assert answer.status_code == 422
    assert 'value="a lot"' in answer.text
    assert re.search(r'id="field-trigger-before-s-error" role="alert">[^<]*whole number', answer.text)
    assert world.device.settings.current.trigger.after_s == 0


def test_what_a_user_types_cannot_become_html(world: World) -> None:
    browser = world.user("admin")
    answer = browser.post("/export", None, **{"export.host": '"><script>alert(1)</script>'})
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("role", ["viewer", "capture"])
def test_only_administrators_change_settings(world: World, role: str) -> None:
    browser = world.user(role)  # type: ignore[arg-type]
    assert "does not allow changes" in browser.page("/trigger")
    browser.post("/trigger", None, **{"trigger.before_s": "1"})
    assert world.device.settings.current.trigger.before_s == 60
    assert f"Your role ({role}) does not allow this." in browser.page("/trigger")


@pytest.mark.spec("W2")
def test_the_log_is_shown_and_downloaded_as_it_is(world: World) -> None:
    admin = world.user("admin")
    page = admin.get("/log?level=error").text
    assert "&lt;disk&gt;" in page
    assert "allegro-web" not in page
    assert "There is no such" not in admin.get("/log?level=nonsense").text
    file = admin.get("/log/file?level=info")
    assert file.headers["content-type"].startswith("text/plain")
    assert [line.split(" ", 2)[2] for line in file.text.splitlines()] == [
        "   allegro-supervisor: Ready",
        "  kernel: <disk> \x1b[31mfailed",
        "allegro-web: slow",
    ]


@pytest.mark.spec("W3", "T8")
def test_press_now_is_a_press_of_the_page(world: World) -> None:
    browser = world.user("capture")
    assert browser.post("/press").headers["location"] == "/"
    assert "Accepted." in browser.page("/")
    assert [job.source for job in world.device.jobs.recent(9)] == ["page"]
    world.clock.now += 1
    world.device.recorder = None
    part = browser.post("/press", headers={"HX-Request": "true"})
    assert "Nothing was captured." in part.text
    assert "<html" not in part.text
    viewer = world.user("viewer")
    assert "Press now" not in viewer.page("/").replace("“Press now”", "")
    viewer.post("/press")
    assert len(world.device.jobs.recent(9)) == 2


@pytest.mark.spec("W3", "F5")
def test_a_filter_can_be_typed_and_its_mistake_is_shown_at_the_field(world: World) -> None:
    browser = world.user("capture")
    world.device.settings.change({"trigger": {"filter": "vlan == 7"}})
    assert 'name="filter" form="press-form" value="vlan == 7"' in browser.page("/")
    wrong = browser.post("/press", filter="ip = 10.0.0.1")
    assert wrong.status_code == 422
    assert 'value="ip = 10.0.0.1"' in wrong.text
    assert '<p class="field-error" id="filter-error" role="alert">Column 4: ' in wrong.text
    part = browser.post("/press", headers={"HX-Request": "true"}, filter="ip = <b>").text
    assert 'id="filter-error" role="alert" hx-swap-oob="true">Column 4: ' in part
    assert "Accepted" not in part
    assert world.device.jobs.recent(9) == []
    browser.post("/press", filter="port==80")
    part = browser.post("/press", headers={"HX-Request": "true"}, filter="").text
    assert 'role="alert" hx-swap-oob="true"></p>' in part
    browser.post("/press")
    assert [job.filter for job in world.device.jobs.recent(9)] == ["vlan == 7", "", "port == 80"]
    assert "Filter: <code>port == 80</code>" in browser.page("/")


@pytest.mark.spec("R3", "F5")
def test_slicing_rules_stand_beside_a_warning_and_a_mistake_at_its_cell(world: World) -> None:
    browser = world.user("admin")
    page = browser.page("/ring")
    assert "does not keep passwords out" in page
    assert page.count("data-filter") == 1
    rule = {"enabled": "on", "name": "web", "filter": "port = 80", "action": "discard", "bytes": ""}
    typed = {f"recording.rules.0.{name}": value for name, value in rule.items()}
    wrong = browser.post("/ring", None, **typed)
    assert wrong.status_code == 422
    assert 'id="field-recording-rules-0-filter-error" role="alert">Column 6: ' in wrong.text
    assert not world.device.settings.current.recording.rules
    browser.post("/ring", None, **{**typed, "recording.rules.0.filter": "port == 80"})
    assert [saved.name for saved in world.device.settings.current.recording.rules] == ["web"]


@pytest.mark.spec("W3")
def test_the_dashboard_says_what_is_wrong_and_what_to_do(world: World) -> None:
    world.device.problems.append(Problem("no-link", "warning", "No <b>link</b>.", "Plug in the cable."))
    browser = world.user("viewer")
    text = browser.get("/dashboard/live").text
    assert "No &lt;b&gt;link&lt;/b&gt;." in text
    assert "Plug in the cable." in text
    world.device.recorder = None
    live = browser.page("/dashboard/live")
    assert "Not known" in live
    assert "The recorder has not been heard of." in live


@pytest.mark.spec("W5")
def test_files_are_deleted_by_those_who_may(world: World) -> None:
    path = world.device.paths.storage / "a b&c.pcapng"
    path.write_bytes(b"x")
    viewer, capture = world.user("viewer"), world.user("capture")
    assert "/api/files/" not in viewer.page("/storage")
    viewer.post("/storage/delete", name=path.name)
    assert path.exists()
    assert 'href="/api/files/a%20b%26c.pcapng"' in capture.page("/storage")
    capture.post("/storage/delete", name=path.name)
    assert not path.exists()
    capture.post("/storage/delete", name=path.name)
    assert "There is no file" in capture.page("/storage")


@pytest.mark.spec("W5")
def test_files_are_searched_renamed_and_moved_where_one_is(world: World) -> None:
    storage, upload = world.device.paths.storage, world.device.paths.upload
    for number, name in enumerate(("a_next", "b_prev", "c_next")):
        (storage / name).write_bytes(b"x" * (3 - number))
        os.utime(storage / name, (number * 86400, number * 86400))
    browser, viewer = world.user("capture"), world.user("viewer")

    def shown(query: str) -> list[str]:
        return re.findall(r'class="file-name">(\w+)', viewer.page(f"/storage{query}"))

    assert shown("") == shown("?order=x&since=y&until=9999-12-31") == ["c_next", "b_prev", "a_next"]
    assert shown("?search=NEXT&order=smallest") == ["c_next", "a_next"]
    assert shown("?since=1970-01-02&until=1970-01-02") == ["b_prev"]
    assert "No capture fits" in viewer.page("/storage?search=nothing")
    world.device.paths.sent.mkdir()
    (world.device.paths.sent / "d_sent").write_bytes(b"x")
    assert shown("?search=sent") == ["d_sent"]
    assert "uploaded</span>" in viewer.page("/storage?search=sent")
    assert "uploaded</span>" not in viewer.page("/storage?search=next")
    world.device.settings.change({"export": {"host": "h", "username": "u", "enabled": True}})
    here = "?search=next"
    done = browser.post(f"/storage/rename{here}", name="a_next", new_name=" a call_next ")
    assert done.headers["location"] == f"/storage{here}"
    assert (storage / "a call_next").exists()
    assert "Send to the server" in browser.page("/storage")
    browser.post("/storage/queue", name="b_prev")
    assert (upload / "b_prev").exists()
    assert "b_prev is to be sent." in browser.page("/storage")
    browser.post("/storage/keep", name="b_prev")
    assert (storage / "b_prev").exists()
    browser.post("/storage/rename", name="b_prev", new_name="c_next")
    assert "Choose another name" in browser.page("/storage")
    for action in ("rename", "queue", "keep", "delete-selected"):
        viewer.post(f"/storage/{action}", name="b_prev", new_name="x")
    assert sorted(path.name for path in storage.iterdir()) == [
        "a call_next",
        "b_prev",
        "c_next",
        "sent",
        "upload",
    ]


@pytest.mark.spec("W5")
def test_several_files_are_downloaded_or_deleted_at_once(world: World) -> None:
    storage = world.device.paths.storage
    for name in ("a b", "c&d", "e"):
        (storage / name).write_bytes(b"x")
    browser = world.user("capture")
    assert 'name="name" value="c&d" form="selection"' in browser.page("/storage")
    archive = browser.get("/storage/archive?name=a+b&name=c%26d").headers["location"]
    assert zipfile.ZipFile(io.BytesIO(browser.get(archive).content)).namelist() == ["a b", "c&d"]
    assert browser.get("/storage/archive").headers["location"] == "/storage"
    assert "Nothing is selected." in browser.page("/storage")
    both = [("csrf", browser.csrf()), ("name", "a b"), ("name", "gone"), ("name", "e")]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    browser.send("POST", "/storage/delete-selected", content=urlencode(both).encode(), headers=headers)
    assert "2 captures are deleted." in browser.page("/storage")
    assert sorted(path.name for path in storage.iterdir()) == ["c&d", "upload"]


@pytest.mark.spec("W5")
def test_a_disk_for_captures_is_chosen_and_removed_by_administrators(world: World) -> None:
    admin, capture = world.user("admin"), world.user("capture")
    shown = admin.page("/storage")
    assert shown.count("Yes, use it") == 1
    assert "ntfs) is left alone" in shown
    assert "Yes, use it" not in capture.page("/storage")
    capture.post("/storage/use-disk", name="5f3a-stick")
    assert "Captures stay on the device." in admin.page("/storage")
    admin.post("/storage/use-disk", name="5f3a-stick")
    assert "Captures go to the disk below" in admin.page("/storage")
    (world.device.paths.disk / "allegro/a").write_bytes(b"x")
    assert "on the disk</span>" in admin.page("/storage")
    admin.post("/storage/remove-disk")
    assert "It can be pulled." in admin.page("/storage")
    admin.post("/storage/use-disk", name="")
    assert "Captures stay on the device." in admin.page("/storage")


@pytest.mark.spec("W5", "R2")
def test_the_ring_goes_to_a_disk_after_a_question(world: World) -> None:
    admin, capture = world.user("admin"), world.user("capture")
    world.device.volumes = [*VOLUMES, FOR_THE_RING]
    world.device.plugged_in.add(FOR_THE_RING.uuid)
    shown = admin.page("/storage")
    assert shown.count("Yes, record there") == 1
    assert "The packet ring buffer goes to RING (Portable, 9A, 1" in shown
    assert "format it with ext4" in shown
    assert "Record the ring here" not in capture.page("/storage")
    capture.post("/storage/use-ring-disk", name=FOR_THE_RING.uuid, size="")
    assert "has its place on the device's own disk." in admin.page("/storage")
    admin.post("/storage/use-ring-disk", name=FOR_THE_RING.uuid, size="5")
    assert "has its place on the device's own disk." in admin.page("/storage")
    admin.post("/storage/use-ring-disk", name=FOR_THE_RING.uuid, size="512")
    assert "The packet ring buffer has its place on the disk below, with 537" in admin.page("/storage")
    admin.post("/storage/remove-ring-disk")
    assert "It can be pulled." in admin.page("/storage")
    admin.post("/storage/use-ring-disk", name="", size="")
    assert "has its place on the device's own disk." in admin.page("/storage")


@pytest.mark.spec("W5")
def test_a_disk_that_is_not_plugged_in_is_shown_and_forgotten_when_it_is_for_nothing(world: World) -> None:
    admin = world.user("admin")
    admin.post("/storage/use-disk", name="5f3a-stick")
    world.device.plugged_in.clear()
    page = admin.page("/storage")
    assert "Not plugged in since" in page
    assert "It is for captures." in page
    assert "Forget" not in page
    admin.post("/storage/use-disk", name="")
    assert "Forget" in admin.page("/storage")
    admin.post("/storage/forget-disk", name="5f3a-stick")
    assert "Not plugged in since" not in admin.page("/storage")


@pytest.mark.spec("W5")
def test_formatting_a_disk_asks_with_its_name_and_what_lies_on_it(world: World, tmp_path: Path) -> None:
    admin, capture = world.user("admin"), world.user("capture")
    assert "Yes, format" not in admin.page("/storage")
    path = tmp_path / "sdb"
    path.write_bytes(b"")
    world.device.disks.append(Disk("sdb", str(path), 32 * 10**9, "Ultra Fit", holds=("old (ntfs)",)))
    asked = "Everything on Ultra Fit (sdb, 32.0\N{NO-BREAK SPACE}GB) will be lost: old (ntfs)."
    assert asked in admin.page("/storage")
    assert asked not in capture.page("/storage")
    capture.post("/storage/format-disk", name="sdb", sequence="0", kind="exfat", label="A")
    assert world.device.actions.all() == ()
    admin.post("/storage/format-disk", name="sdb", sequence="9", kind="exfat", label="A")
    assert "Another disk is called sdb now" in admin.page("/storage")
    admin.post("/storage/format-disk", name="sdb", sequence="0", kind="exfat", label="twelve_lette")
    assert "too long" in admin.page("/storage")
    admin.post("/storage/label-disk", name="5f3a-stick", label="a/b")
    assert "cannot be the name" in admin.page("/storage")
    world.device.actions.start("format", "Making the file system.").tell("Making the file system.", 0.4)
    assert "Making the file system." in admin.page("/storage")
    assert "Progress of formatting" in admin.get("/storage/disks?shown=running").text
    assert admin.get("/storage/disks?shown=none").headers["HX-Refresh"] == "true"


@pytest.mark.spec("W14")
def test_ten_thousand_captures_are_shown_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, upload = world.device.paths.storage, world.device.paths.upload
    for number in range(10_000):
        file = (upload if number % 100 == 0 else storage) / f"{number:05}.pcapng"
        file.touch()
        os.utime(file, ns=(0, number * 10**9))
    browser = world.user("capture")

    def shown(path: str) -> list[str]:
        return re.findall(r'class="file-name">(\d+)\.pcapng', browser.page(path))

    assert shown("/storage") == shown("/storage?page=x") == [f"{9999 - each:05}" for each in range(50)]
    assert shown("/storage?page=2")[0] == "09949"
    assert shown("/storage?page=200") == shown("/storage?page=201") == [f"{49 - n:05}" for n in range(50)]
    last = browser.page("/storage?page=200")
    assert "Page 200 of 200" in last
    assert 'href="/storage?page=199"' in last
    assert "Older" not in last
    deleted = browser.post("/storage/delete?page=200", name="00007.pcapng")
    assert deleted.headers["location"] == "/storage?page=200"
    assert "00007" not in shown("/storage?page=200")
    assert len(shown("/export/live")) == 50
    assert "and 50 more" in browser.page("/export/live")

    looked: list[str] = []
    ask = capture_files._info

    def noted(entry: "os.DirEntry[str]") -> FileInfo | None:
        looked.append(entry.name)
        return ask(entry)

    monkeypatch.setattr(capture_files, "_info", noted)
    for path in ("/", "/dashboard/live", "/export/live", "/storage"):
        browser.page(path)
    assert looked == []


@pytest.mark.spec("W3")
def test_the_dashboard_knows_which_captures_are_still_there(world: World) -> None:
    browser = world.user("capture")
    for name in ("here.pcapng", "gone.pcapng"):
        browser.post("/press")
        world.clock.now += 1
        (job,) = world.device.jobs.recent(1)
        for state in ("cutting", "complete"):
            world.device.jobs.change(job.id, state=state, file=name, directory="storage", packets=1, size=1)
    (world.device.paths.storage / "here.pcapng").write_bytes(b"x")
    live = browser.page("/dashboard/live")
    assert 'href="/api/files/here.pcapng"' in live
    assert "gone.pcapng" not in live
    assert "deleted" in live


@pytest.mark.spec("W1")
def test_users_are_added_changed_and_deleted(world: World) -> None:
    admin = world.user("admin")
    assert "at least 8" in admin.post("/users", name="anna", role="viewer", password="short").text
    assert "A user name has" in admin.post("/users", name="an na", role="viewer", password="long enough").text
    assert admin.post("/users", name="anna", role="viewer", password="long enough").status_code == 303
    assert "already" in admin.post("/users", name="anna", role="viewer", password="long enough").text
    anna = Browser(world.app)
    assert anna.log_in("anna", "long enough").headers["location"] == "/password"
    anna.post("/password", password="her own one", again="her own one")
    admin.post("/users/role", name="anna", role="capture")
    assert "Press now" in anna.page("/")
    admin.post("/users/password", name="anna", password="given again")
    assert anna.get("/").headers["location"] == "/login"
    assert anna.log_in("anna", "given again").headers["location"] == "/password"
    admin.post("/users/delete", name="anna")
    assert anna.get("/").headers["location"] == "/login"
    assert anna.log_in("anna", "given again").status_code == 401


def test_the_last_administrator_stays(world: World) -> None:
    admin = world.user("admin")
    admin.post("/users/delete", name="admin")
    admin.post("/users/delete", name="the-admin")
    assert "You cannot delete yourself." in admin.page("/users")
    admin.post("/users/role", name="the-admin", role="viewer")
    assert "At least one user must have the role admin." in admin.page("/users")
    assert [user.name for user in world.site.users.all()] == ["the-admin"]


def test_a_device_that_does_not_answer_is_told_in_plain_words(world: World) -> None:
    import httpx

    def silent(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no socket")

    browser = world.user("viewer")
    world.site.backend._client = httpx.AsyncClient(
        transport=httpx.MockTransport(silent), base_url="http://supervisor"
    )
    answer = browser.get("/")
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert "wait half a minute" in answer.text
    assert browser.get("/api/status").json()["error"]["message"].endswith("does not answer.")


def test_the_certificate_can_be_compared_and_downloaded(world: World) -> None:
    browser = world.user("viewer")
    assert world.site.certificate.info.fingerprint in browser.page("/administration")
    file = browser.get("/administration/certificate")
    assert b"BEGIN CERTIFICATE" in file.content
    assert b"PRIVATE" not in file.content


def test_the_page_names_all_that_a_reset_can_keep() -> None:
    assert tuple(administration.KEEP) == KEEPS


@pytest.mark.spec("W9", "U5")
def test_restart_switch_off_and_reset(world: World) -> None:
    admin = world.user("admin")
    assert "The device restarts." in admin.post("/administration/reboot").text
    assert "switches itself off" in admin.post("/administration/power-off").text
    assert world.device.power == ["reboot", "power-off"]
    assert "configuration reset" in admin.post("/administration/reset", keep="users").text
    admin.post("/administration/reset")
    assert world.device.resets == [["users"], []]
    viewer = world.user("viewer")
    assert "Reset system configuration" not in viewer.page("/administration")
    for path in ("reboot", "power-off", "reset"):
        viewer.post(f"/administration/{path}")
        assert "does not allow this" in viewer.page("/administration")
    assert len(world.device.power + world.device.resets) == 4


@pytest.mark.spec("N5")
def test_a_changed_network_is_confirmed_or_taken_back_on_the_page(world: World) -> None:
    admin, viewer = world.user("admin"), world.user("viewer")
    assert "/management/confirm" not in admin.page("/management")
    world.device.remaining_s = 86.4
    assert "taken back in 86 seconds" in viewer.page("/management")
    assert "/management/confirm" not in viewer.page("/management")
    viewer.post("/management/confirm")
    assert world.device.asked == []
    assert "/management/confirm" in admin.page("/management")
    assert admin.post("/management/confirm").status_code == 303
    assert admin.post("/management/take-back").status_code == 303
    assert world.device.asked == ["confirm", "take back"]


def inputs(page: str, action: str) -> dict[str, str]:
    """What a browser would send of a form, as it stands on the page."""
    form = re.search(rf'<form method="post" action="{action}" class="stack settings".*?</form>', page, re.S)
    assert form
    found = {}
    for tag in re.findall(r"<input[^>]*>", form[0]):
        name, value = (re.search(rf'{each}="([^"]*)"', tag) for each in ("name", "value"))
        if name and ('type="checkbox"' not in tag or " checked" in tag):
            found[name[1]] = html.unescape(value[1]) if value else ""
    return found


@pytest.mark.spec("W13")
def test_a_form_that_is_older_than_the_settings_says_so_and_puts_nothing_back(world: World) -> None:
    anna = world.user("admin")
    mine = inputs(anna.get("/trigger").text, "/trigger")
    world.device.call("PATCH", "/settings/trigger", {"before_s": 300, "debounce_ms": 500})
    answer = anna.send("POST", "/trigger", data=mine | {"trigger.after_s": "5", "trigger.debounce_ms": "700"})
    assert answer.status_code == 412
    page = html.unescape(answer.text)
    assert "Somebody else has changed these settings since you opened this page" in page
    assert "Changed by somebody else: 60 before, 300 now." in page
    assert "Changed by somebody else: 1000 before, 500 now." in page
    assert world.device.settings.current.trigger.after_s == 0
    again = inputs(answer.text, "/trigger")
    shown = {name: again[f"trigger.{name}"] for name in ("before_s", "after_s", "debounce_ms")}
    assert shown == {"before_s": "300", "after_s": "5", "debounce_ms": "700"}
    assert anna.send("POST", "/trigger", data=again).headers["location"] == "/trigger"
    trigger = world.device.settings.current.trigger
    assert (trigger.before_s, trigger.after_s, trigger.debounce_ms) == (300, 5, 700)


@pytest.mark.spec("W13", "U7")
def test_a_form_saves_what_was_changed_in_it_and_leaves_what_is_not_understood(world: World) -> None:
    path = world.device.paths.settings
    path.write_text(json.dumps({"time": {"zone": "Europe/Nowhere"}}))
    world.device.settings._load()
    anna = world.user("admin")
    mine = inputs(anna.get("/time").text, "/time")
    assert (
        anna.send("POST", "/time", data=mine | {"time.servers": "192.0.2.1"}).headers["location"] == "/time"
    )
    kept = json.loads(path.read_text())["time"]
    assert (kept["zone"], kept["servers"]) == ("Europe/Nowhere", ["192.0.2.1"])


@pytest.mark.spec("W13")
def test_a_mistake_in_an_older_form_is_told_against_what_it_was_made_for(world: World) -> None:
    anna = world.user("admin")
    mine = inputs(anna.get("/trigger").text, "/trigger")
    wrong = anna.send("POST", "/trigger", data=mine | {"trigger.after_s": "soon"})
    assert wrong.status_code == 422
    assert inputs(wrong.text, "/trigger")["seen"] == mine["seen"]
    world.device.call("PATCH", "/settings/trigger", {"before_s": 300})
    late = anna.send("POST", "/trigger", data=inputs(wrong.text, "/trigger") | {"trigger.after_s": "5"})
    assert late.status_code == 412


def test_a_device_without_known_presenters_says_that_no_key_triggers(world: World) -> None:
    browser = world.user("admin")
    empty = {f"trigger.presenters.0.{name}": "" for name in ("vendor", "product", "name")}
    mine = inputs(browser.get("/trigger").text, "/trigger") | empty | {"trigger.before_s": "7"}
    asked = browser.send("POST", "/trigger", data=mine)
    assert asked.status_code == 200
    assert "Remove the last presenter?" in asked.text
    assert len(world.device.get("/settings/trigger")["presenters"]) == 1
    browser.send("POST", "/trigger", data=inputs(asked.text, "/trigger") | {"sure": "yes"})
    saved = world.device.get("/settings/trigger")
    assert (saved["presenters"], saved["before_s"]) == ([], 7)
    assert "Remove the last presenter?" not in browser.post("/trigger", None, **empty).text
    page = browser.page("/trigger")
    assert "No presenter is known any more: no key triggers a capture." in page
    shown = world.site.templates.get_template("parts/presenters.html").render(presenters=[], known=False)
    assert "Add one to the known presenters" in shown
    assert "Plug the receiver in" not in shown


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"export.enabled": "on"}, ["host", "username"]),
        ({"export.port": "70000", "export.time": "25:00"}, ["port", "time"]),
    ],
)
def test_each_wrong_field_is_marked_and_no_mistake_is_told_twice(
    world: World, typed: dict[str, str], wrong: list[str]
) -> None:
    answer = world.user("admin").post("/export", None, **typed)
    shown = re.findall(r'id="field-export-(\w+)-error" role="alert">([^<]*)', answer.text)
    assert [place for place, _ in shown] == wrong
    assert len({text for _, text in shown}) == len(wrong)
    assert 'class="message error" role="alert"' not in answer.text


@pytest.mark.spec("W3")
def test_a_double_click_is_one_press(world: World) -> None:
    browser = world.user("capture")
    browser.post("/press", filter="")
    part = browser.post("/press", headers={"HX-Request": "true"}, filter="").text
    assert "both are one press" in part
    browser.post("/press", filter="port == 80")
    world.clock.now += 1
    browser.post("/press", filter="port == 80")
    assert len(world.device.jobs.recent(9)) == 3
    world.user("admin").post("/press", filter="port == 80")
    assert len(world.device.jobs.recent(9)) == 4, "somebody else's is one of its own"
    world.device.settings.change({"trigger": {"debounce_ms": 0}})
    browser.post("/press", filter="port == 80")
    assert len(world.device.jobs.recent(9)) == 5


@pytest.mark.spec("W3", "X1")
def test_what_became_of_a_file_that_is_gone_is_told_as_far_as_it_is_known(world: World) -> None:
    queue = UploadQueue(world.device.paths.upload, world.device.paths.database)
    browser = world.user("capture")
    for name in ("old", "sent", "deleted"):
        browser.post("/press")
        world.clock.now += 1
        (job,) = world.device.jobs.recent(1)
        for state in ("cutting", "complete"):
            world.device.jobs.change(
                job.id,
                state=state,
                file=f"{name}.pcapng",
                directory="upload",
                finished_ns=5 if name == "old" else 10**18,
            )
    queue.note_sent_since(10)
    queue.note_sent_since(10**18 + 1)
    queue.sent("sent.pcapng")
    live = browser.page("/dashboard/live")
    assert re.findall(r'<span class="pill off">(\w[^<]*)</span>\n\s+</div>', live) == [
        *("deleted", "sent", "not here any more")
    ]


@pytest.mark.spec("W3", "S7")
def test_a_file_that_somebody_deleted_names_him_and_one_that_waits_says_until_when(world: World) -> None:
    admin, capture = world.user("admin"), world.user("capture")
    for directory in ("upload", "storage", "upload"):
        capture.post("/press")
        world.clock.now += 1
        (job,) = world.device.jobs.recent(1)
        name = f"{job.id} of.pcapng"
        (getattr(world.device.paths, directory) / name).write_bytes(b"x")
        for state in ("cutting", "complete"):
            world.device.jobs.change(job.id, state=state, file=name, directory=directory, finished_ns=5)
    assert capture.page("/dashboard/live").count("waits, as the upload is off") == 2
    world.device.settings.change({"export": {"host": "h", "username": "u", "enabled": True}})
    capture.post("/storage/delete", name="2 of.pcapng")
    admin.post("/export/delete", name="3 of.pcapng")
    live = capture.page("/dashboard/live")
    assert "deleted by the-capture" in live
    assert "deleted by the-admin" in live
    assert live.count("waits for the upload (each day at 02:00)") == 1


@pytest.mark.spec("W3", "W5")
def test_captures_that_were_made_and_are_gone_are_not_said_never_to_have_been(world: World) -> None:
    browser = world.user("capture")
    assert "There are no captures. Press a key" in browser.page("/storage")
    browser.post("/press", filter="port == 80")
    (job,) = world.device.jobs.recent(1)
    known = {"file": "a.pcapng", "directory": "upload", "packets": 3, "size": 4, "read": 5, "reached": 2000}
    for state in ("cutting", "complete"):
        world.device.jobs.change(job.id, state=state, **known)
    assert "have been sent or deleted. What" in browser.page("/storage")
    world.device.settings.change({"storage": {"device": "5f3a-gone"}})
    words = "have been sent or deleted, or lie on a disk that is not in use now. What"
    assert words in browser.page("/storage")
    assert "0.2 % of the ring in its window was read" in browser.page("/dashboard/live")


@pytest.mark.spec("W3", "W4")
def test_a_capture_that_is_being_made_is_stopped_or_a_row_of_it(world: World) -> None:
    capture, viewer = world.user("capture"), world.user("viewer")
    rows = [{"name": name, "filter": ""} for name in ("before", "behind")]
    world.device.settings.change({"trigger": {"rows": rows}})
    capture.post("/press")
    (job,) = world.device.jobs.recent(1)
    assert "/dashboard/stop" not in viewer.page("/dashboard/live")
    assert capture.page("/dashboard/live").count('action="/dashboard/stop"') == 3
    assert "Stop before? It then has no file." in capture.page("/dashboard/live")
    assert "Stop the capture? Files that are complete are kept." in capture.page("/dashboard/live")
    capture.post("/dashboard/stop", job=str(job.id), row="1")
    assert [row.state for row in world.device.jobs.rows.of(job.id)] == ["cancelled", "open"]
    assert "The row is stopped: it has no file." in capture.page("/")
    live = capture.page("/dashboard/live")
    assert re.findall(r'id="stop-\d+-(\d*)"', live) == ["", "2"], "a row that has ended is not stopped"
    assert '<span class="pill off">cancelled</span>' in live
    capture.post("/dashboard/stop", job=str(job.id), row="")
    assert "The capture is stopped. Files that were complete are kept." in capture.page("/")
    assert world.device.jobs.get(job.id).state == "cancelled"
    assert "/dashboard/stop" not in capture.page("/dashboard/live")
    capture.post("/dashboard/stop", job="../status", row="")
    assert "is stopped" not in capture.page("/")


def test_a_capture_says_whether_it_waits_for_its_end_or_to_be_saved(world: World) -> None:
    browser = world.user("capture")
    for after_s in (600, 0):
        world.device.settings.change({"trigger": {"after_s": after_s}})
        browser.post("/press")
        world.clock.now += 1
        (job,) = world.device.jobs.recent(1)
        world.device.jobs.change(job.id, state="waiting")
    live = browser.page("/dashboard/live")
    assert live.index("waits to be saved") < live.index("waits for its end")


def test_captures_that_wait_while_nothing_is_sent_are_told(world: World) -> None:
    (world.device.paths.upload / "a.pcapng").touch()
    browser = world.user("viewer")
    assert "Nothing is sent while the upload is off" in browser.page("/export/live")
    assert "1 to upload, which is off" in browser.page("/dashboard/live")


@pytest.mark.spec("W1")
def test_a_password_for_somebody_else_is_refused_at_its_field(world: World) -> None:
    world.site.users.add("bert", "viewer", PASSWORD)
    answer = world.user("admin").post("/users/password", name="bert", password="Bert-2026")
    assert answer.status_code == 422
    (said,) = re.findall(r'id="password-\d-error" role="alert">([^<]*)', answer.text)
    assert "nothing in it but the name of the user" in said
    assert said.endswith("Take several words that do not belong together.")
    assert answer.text.count("too easy to guess") == 1
    assert '<details class="confirm" open>' in answer.text
    assert "Bert-2026" not in answer.text


def test_a_log_that_nobody_asked_more_of_is_that_of_the_device(world: World) -> None:
    page = world.user("viewer").page("/log")
    assert '<option value="device" selected>' in page
    assert "/log/live?level=device" in page


@pytest.mark.spec("X6")
def test_the_page_of_a_webdav_server_speaks_of_no_ssh_keys(world: World) -> None:
    browser = world.user("admin")
    assert "Host key of the server" in browser.page("/export")
    typed = {"export.protocol": "webdav", "export.url": "https://cloud.example/dav", "export.enabled": "on"}
    assert browser.post("/export", None, **typed).status_code == 303
    page = browser.page("/export")
    assert "to <strong>https://cloud.example/dav</strong>" in page
    assert "Host key of the server" not in page
    assert "authorized_keys" not in page
    assert world.device.get("/status")["export_enabled"] is True


@pytest.mark.spec("W8")
def test_the_address_of_a_form_that_is_loaded_anew_leads_to_its_page(world: World) -> None:
    browser = world.user("admin")
    for path, page in (("/links/groups", "/links"), ("/users/tokens", "/users"), ("/press", "/")):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, page), path
    assert browser.send("PUT", "/links/groups").status_code == 405


@pytest.mark.spec("W5")
def test_a_size_that_no_ring_can_have_is_told_as_one(world: World) -> None:
    browser = world.user("admin")
    for size, told in (("1", "must be at least 16"), ("1e9", "must be a whole number")):
        browser.post("/storage/use-ring-disk", name="5f3a-stick", size=size)
        assert f"The size of the ring in MiB {told}" in browser.page("/storage")
