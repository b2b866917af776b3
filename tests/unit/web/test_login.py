import base64
import html
import json
from dataclasses import replace

import pytest

from allegro.accounts.roles import Role
from allegro.accounts.users import UserStore
from allegro.web.app import create_app
from allegro.web.sessions import IDLE_S
from tests.unit.web.world import PASSWORD, Browser, World


@pytest.mark.spec("W1")
def test_the_first_login_asks_for_a_new_password_before_anything_else(world: World) -> None:
    browser = Browser(world.app)
    assert browser.get("/").headers["location"] == "/login"
    assert "This device is new" in browser.page("/login")
    assert browser.log_in("admin", "allegro").headers["location"] == "/password"
    for path in ("/", "/storage", "/users"):
        assert browser.get(path).headers["location"] == "/password"
    assert browser.get("/api/status").status_code == 403
    assert "at least 8" in browser.post("/password", password="short", again="short").text
    assert "not the same" in browser.post("/password", password=PASSWORD, again=PASSWORD + "x").text
    assert browser.post("/password", password=PASSWORD, again=PASSWORD).headers["location"] == "/setup"
    assert "Your new password is saved." in browser.page("/setup")
    assert "This device is new" not in Browser(world.app).page("/login")
    assert Browser(world.app).log_in("admin", "allegro").status_code == 401


def test_the_cookie_is_for_this_page_alone(world: World) -> None:
    cookie = Browser(world.app).log_in("admin", "allegro").headers["set-cookie"]
    assert cookie.startswith("__Host-allegro=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))


def test_users_survive_a_restart_and_their_file_is_nobody_elses(world: World) -> None:
    world.user("viewer")
    assert world.users_file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in world.users_file.read_text()
    again = UserStore(world.users_file)
    assert [(user.name, user.role) for user in again.all()] == [("admin", "admin"), ("the-viewer", "viewer")]
    assert again.verified("the-viewer", PASSWORD + "!")


@pytest.mark.spec("S2")
def test_a_device_whose_users_cannot_be_read_lets_nobody_in_and_says_so(world: World) -> None:
    world.site.users.add("anna", "admin", PASSWORD)
    for path in (world.users_file, world.users_file.with_name(".users.json.good")):
        path.unlink()
        path.mkdir()  # reading it fails, whoever asks
    made = replace(world.site, users=UserStore(world.users_file))
    browser = Browser(create_app(made, world.users_file.parent / "built"))
    shown = browser.page("/login")
    assert "The users of this page cannot be known: their file cannot be read (Is a directory)" in shown
    assert "This device is new" not in shown
    for name, password in (("admin", "allegro"), ("anna", PASSWORD)):
        answer = browser.log_in(name, password)
        assert answer.status_code == 503
        assert "Nobody can log in" in answer.text
    assert world.device.asked == []
    assert "The device restarts" in browser.send("POST", "/restart").text
    assert world.device.asked == ["rescue"]
    basic = base64.b64encode(b"admin:allegro").decode()
    answer = browser.get("/api/status", headers={"Authorization": f"Basic {basic}"})
    assert answer.status_code == 503
    refused = browser.send("POST", "/restart", headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403


@pytest.mark.spec("S2", "S3")
def test_nobody_restarts_a_device_whose_users_are_known(world: World) -> None:
    assert Browser(world.app).send("POST", "/restart").status_code == 403
    assert "Restart the device" not in Browser(world.app).page("/login")
    assert world.device.asked == []


@pytest.mark.spec("S2")
def test_the_dashboard_names_what_is_wrong_with_users_and_certificate(world: World) -> None:
    world.user("viewer")
    raw = json.loads(world.users_file.read_text())
    raw["users"].append({"name": "olga", "role": "operator", "password": "x"})
    world.users_file.write_text(json.dumps(raw))
    made = replace(
        world.site, users=UserStore(world.users_file), certificate_problem="The certificate is damaged."
    )
    browser = Browser(create_app(made, world.users_file.parent / "built"))
    browser.log_in("the-viewer", PASSWORD + "!")
    dashboard = browser.page("/")
    assert "These users cannot log in with this version of the firmware: olga." in dashboard
    assert "The certificate is damaged." in dashboard


def test_an_idle_session_ends_although_its_page_polls(world: World) -> None:
    browser = world.user("viewer")
    for _ in range(3):
        world.clock.now += IDLE_S * 0.4
        answer = browser.get("/dashboard/live", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/login")
    assert browser.get("/storage").headers["location"] == "/login?next=/storage"


def test_what_is_sent_too_late_leads_back_to_its_page(world: World) -> None:
    browser = world.user("admin")
    world.clock.now += IDLE_S * 2
    assert browser.send("POST", "/trigger", data={}).headers["location"] == "/login?next=/trigger"
    assert browser.send("POST", "/press", data={}).headers["location"] == "/login"


def test_a_log_in_leads_back_to_what_was_asked_for_with_its_query(world: World) -> None:
    asked = "/packets?file=a%26b.pcapng&filter=port+%3D%3D+80"
    browser = Browser(world.app)
    to_login = browser.get(asked).headers["location"]
    assert to_login == "/login?next=/packets%3Ffile%3Da%2526b.pcapng%26filter%3Dport%2B%253D%253D%2B80"
    assert f'name="next" value="{html.escape(asked)}"' in browser.get(to_login).text
    admin = world.user("admin")
    form = {"name": "the-admin", "password": PASSWORD + "!", "next": asked}
    assert browser.send("POST", "/login", data=form).headers["location"] == asked
    assert 'href="/login?next=/log%3Flevel%3Derror"' in admin.page("/log?level=error")
    wrong = admin.post("/time/set", None, local="tomorrow")
    assert wrong.status_code == 422
    assert 'href="/login?next=/time"' in wrong.text, "what was sent to cannot be looked at"


def test_logging_out_ends_the_session_on_the_device(world: World) -> None:
    browser = world.user("viewer")
    stolen = Browser(world.app)
    stolen.cookies = browser.cookies
    assert browser.post("/logout").headers["location"] == "/login"
    assert stolen.get("/").headers["location"] == "/login"


def test_a_new_password_ends_the_other_sessions(world: World) -> None:
    browser = world.user("viewer")
    other = Browser(world.app)
    other.log_in("the-viewer", PASSWORD + "!")
    assert "old password is wrong" in browser.post("/password", old="x", password="y" * 9, again="y" * 9).text
    browser.post("/password", old=PASSWORD + "!", password="another one", again="another one")
    assert browser.get("/").status_code == 200
    assert other.get("/").headers["location"] == "/login"


@pytest.mark.parametrize(
    ("asked", "goes_to"),
    [
        ("/storage", "/storage"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
    ],
)
def test_the_login_leads_to_no_other_site(world: World, asked: str, goes_to: str) -> None:
    world.user("viewer")
    data = {"name": "the-viewer", "password": PASSWORD + "!", "next": asked}
    assert Browser(world.app).send("POST", "/login", data=data).headers["location"] == goes_to


@pytest.mark.spec("W1")
def test_wrong_passwords_have_to_wait_and_are_told_how_long(world: World) -> None:
    browser = Browser(world.app, "192.0.2.66")
    for _ in range(5):
        assert browser.log_in("admin", "guess").status_code == 401
    stopped = browser.log_in("admin", "allegro")
    assert stopped.status_code == 429
    assert stopped.headers["Retry-After"] == "5"
    assert "Try again in 5 seconds." in stopped.text
    assert Browser(world.app, "192.0.2.7").log_in("admin", "allegro").status_code == 303
    world.clock.now += 5
    assert browser.log_in("admin", "allegro").status_code == 303


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_forms_are_refused(world: World, site: str) -> None:
    browser = world.user("admin")
    answer = browser.post("/press", headers={"Sec-Fetch-Site": site})
    assert (answer.status_code, world.device.jobs.recent(1)) == (403, [])
    data = {"name": "the-admin", "password": PASSWORD + "!"}
    assert browser.send("POST", "/login", data=data, headers={"Sec-Fetch-Site": site}).status_code == 403
    answer = browser.post("/press", headers={"Origin": "https://evil.example"})
    assert (answer.status_code, world.device.jobs.recent(1)) == (403, [])


def test_a_form_without_the_token_of_the_session_changes_nothing(world: World) -> None:
    browser, other = world.user("admin"), world.user("viewer")
    for token in ("", "x", other.csrf()):
        browser.send("POST", "/trigger", data={"csrf": token, "trigger.before_s": "1"})
    assert world.device.settings.current.trigger.before_s == 60
    assert "This page is too old." in browser.page("/trigger")


def test_a_form_that_is_too_large_is_refused(world: World) -> None:
    assert Browser(world.app).send("POST", "/login", content=b"x" * 300_000).status_code == 413


@pytest.mark.parametrize(
    ("role", "size", "status"),
    [
        ("admin", 2_000_000, 303),
        ("admin", 2_100_000, 413),
        ("capture", 300_000, 413),
        ("capture", 200_000, 303),
    ],
)
def test_only_administrators_have_large_tables_to_send(
    world: World, role: Role, size: int, status: int
) -> None:
    browser = world.user(role)
    assert browser.post("/trigger/table", padding="x" * size).status_code == status
    browser.cookies.clear()
    stranger = browser.send("POST", "/trigger/table", data={"padding": "x" * 300_000})
    assert stranger.status_code == 413


def test_headers_allow_nothing_from_elsewhere(world: World) -> None:
    for path in ("/login", "/nowhere", "/api/status", "/static/allegro.css"):
        headers = Browser(world.app).get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Strict-Transport-Security" not in headers
        assert headers["Cache-Control"] == ("no-cache" if path.startswith("/static/") else "no-store")


def test_what_is_kept_names_argon2id(world: World) -> None:
    world.user("capture")
    kept = json.loads(world.users_file.read_text())["users"]
    assert all(user["password"].startswith("$argon2id$v=19$") for user in kept)


@pytest.mark.spec("S3")
def test_what_strangers_send_is_refused_not_an_unexpected_failure(world: World) -> None:
    browser = Browser(world.app)
    assert browser.get("/login?next=http://[").status_code == 200
    odd = {"Origin": "http://[", "Content-Type": "application/x-www-form-urlencoded"}
    assert browser.send("POST", "/login", headers=odd, content=b"name=a").status_code == 403
    many = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.send("POST", "/login", headers=many, content=b"a&" * 10_001).status_code == 413
