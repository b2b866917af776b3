"""Users and tokens by the API and on the page."""

import asyncio
import base64
import json
from typing import Any

import httpx
import pytest

from allegro.accounts.roles import ROLES
from allegro.accounts.users import RESERVED
from allegro.api.audit import user_of
from allegro.api.targets import ACCOUNTS
from allegro.web.app import inside_app
from allegro.web.login import NOBODY
from tests.unit.web.world import PASSWORD, Browser, World

SECRET = "hunter2" * 50
"""Longer than any password may be."""


def basic(name: str, password: str = PASSWORD + "!") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def call(world: World, method: str, path: str, login: dict[str, str], body: object = None) -> httpx.Response:
    content = None if body is None else json.dumps(body).encode()
    headers = login | ({} if body is None else {"Content-Type": "application/json"})
    return Browser(world.app).send(method, f"/api{path}", headers=headers, content=content)


@pytest.fixture
def admin(world: World) -> dict[str, str]:
    for role in ROLES:
        world.user(role)
    return basic("the-admin")


@pytest.mark.spec("W10")
def test_a_program_uses_a_token_instead_of_a_password(world: World, admin: dict[str, str]) -> None:
    made = call(world, "POST", "/tokens", admin, {"name": "backup", "role": "capture", "days": 30})
    assert made.status_code == 201
    token = made.json()
    (world.device.paths.storage / "a.pcapng").write_bytes(b"packets")
    program = bearer(token["token"])
    assert call(world, "GET", "/files/a.pcapng", program).content == b"packets"
    assert call(world, "PATCH", "/settings", program, {}).status_code == 403
    assert call(world, "GET", "/tokens", program).status_code == 403
    (listed,) = call(world, "GET", "/tokens", admin).json()
    assert listed["used_time"] is not None
    assert "token" not in listed
    assert token["token"] not in json.dumps(listed)
    assert call(world, "DELETE", f"/tokens/{token['id']}", admin).status_code == 204
    gone = call(world, "GET", "/status", program)
    assert (gone.status_code, "not known" in gone.json()["error"]["message"]) == (401, True)


@pytest.mark.spec("W10", "S1")
def test_the_accounts_are_administrators_alone(world: World, admin: dict[str, str]) -> None:
    described: dict[str, Any] = call(world, "GET", "/openapi.json", admin).json()["paths"]
    requests = {
        (method.upper(), path.removeprefix("/api").replace("{name}", "anna").replace("{token_id}", "x"))
        for path, methods in described.items()
        for method in (*methods, *(("head",) if "get" in methods else ()))
        if path.split("/")[2] in ACCOUNTS
    }
    assert len(requests) >= 10
    own = ("PUT", "/password")
    assert call(world, *own, basic("the-viewer")).status_code == 422
    for method, path in sorted(requests - {own}):
        for role in ROLES:
            status = call(world, method, path, basic(f"the-{role}")).status_code
            assert (status == 403) == (role != "admin"), (method, path, role, status)
        assert call(world, method, path, {}).status_code == 401
    forged = basic("the-viewer") | {"X-Allegro-Role": "admin", "X-Allegro-User": "the-admin"}
    assert call(world, "GET", "/users", forged).status_code == 403


@pytest.mark.spec("W1")
def test_users_are_managed_by_the_api(world: World, admin: dict[str, str]) -> None:
    added = call(world, "POST", "/users", admin, {"name": "anna", "role": "viewer", "password": PASSWORD})
    assert added.status_code == 201
    assert {"name": "anna", "role": "viewer", "must_change": True} in added.json()
    assert PASSWORD not in added.text
    assert "argon2" not in added.text
    due = call(world, "GET", "/status", basic("anna", PASSWORD))
    assert "new password is due" in due.json()["error"]["message"]
    own = {"old": PASSWORD, "new": PASSWORD + "?"}
    assert call(world, "PUT", "/password", basic("anna", PASSWORD), own).status_code == 204
    assert call(world, "GET", "/status", basic("anna", PASSWORD + "?")).status_code == 200
    wrong = call(world, "PUT", "/password", basic("anna", PASSWORD + "?"), {"old": "guess", "new": PASSWORD})
    assert (wrong.status_code, wrong.json()["error"]["place"]) == (422, "old")
    assert call(world, "PATCH", "/users/anna", admin, {"role": "capture"}).status_code == 200
    both = {"role": "viewer", "password": "short"}
    assert call(world, "PATCH", "/users/anna", admin, both).status_code == 422
    assert {"name": "anna", "role": "capture", "must_change": False} in call(
        world, "GET", "/users", admin
    ).json()
    assert call(world, "PATCH", "/users/anna", admin, {"password": PASSWORD}).status_code == 200
    assert call(world, "GET", "/status", basic("anna", PASSWORD)).status_code == 403
    assert call(world, "PATCH", "/users/the-admin", admin, {"password": PASSWORD}).status_code == 409
    assert call(world, "DELETE", "/users/the-admin", admin).status_code == 409
    assert call(world, "DELETE", "/users/anna", admin).status_code == 204
    assert call(world, "DELETE", "/users/anna", admin).status_code == 404


@pytest.mark.spec("S7")
def test_a_secret_that_does_not_fit_is_not_repeated(world: World, admin: dict[str, str]) -> None:
    bodies: tuple[tuple[str, str, object], ...] = (
        ("POST", "/users", {"name": "anna", "role": "viewer", "password": SECRET}),
        ("PATCH", "/users/the-viewer", {"password": SECRET}),
        ("PUT", "/password", {"old": SECRET, "new": PASSWORD}),
        ("PUT", "/password", {"old": PASSWORD, "new": SECRET}),
        ("PUT", "/certificate", {"pem": [SECRET]}),
        ("POST", "/configuration/export", {"password": SECRET}),
        ("POST", "/configuration/import", {"file": {}, "password": SECRET}),
        ("PATCH", "/settings", {"export": {"password": SECRET}}),
        ("PATCH", "/settings/wifi", {"access_point": {"password": SECRET}}),
    )
    for method, path, body in bodies:
        answer = call(world, method, path, admin, body)
        assert answer.status_code == 422, (path, answer.text)
        assert "hunter2" not in answer.text, path


@pytest.mark.spec("S3")
def test_guessed_tokens_count_like_guessed_passwords(world: World, admin: dict[str, str]) -> None:
    made = call(world, "POST", "/tokens", admin, {"name": "probe", "role": "viewer", "days": 30}).json()
    for _ in range(5):
        assert call(world, "GET", "/status", bearer("allegro_guess")).status_code == 401
    waits = call(world, "GET", "/status", bearer("allegro_guess"))
    assert (waits.status_code, waits.headers["Retry-After"]) == (429, "5")
    assert call(world, "GET", "/status", bearer(made["token"])).status_code == 200, (
        "a right one does not wait"
    )


@pytest.mark.spec("W10", "W6")
def test_the_description_tells_of_tokens_and_of_the_accounts(world: World, admin: dict[str, str]) -> None:
    described: dict[str, Any] = call(world, "GET", "/openapi.json", admin).json()
    schemes = described["components"]["securitySchemes"]
    assert {each["scheme"] for each in schemes.values()} == {"basic", "bearer"}
    nouns = {path.split("/")[2] for path in described["paths"]}
    assert nouns >= set(ACCOUNTS)
    assert all(operation["security"] for each in described["paths"].values() for operation in each.values())


def test_root_on_the_device_asks_on_a_socket_of_its_own(world: World) -> None:
    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(inside_app(world.site, world.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
            return await client.get(path)

    users = asyncio.run(ask("/api/users")).json()
    assert [each["name"] for each in users] == ["admin"]
    assert asyncio.run(ask("/api/status")).status_code == 401, "that is the supervisor's to answer"
    assert asyncio.run(ask("/login")).status_code == 200


@pytest.mark.spec("W10")
def test_a_token_is_made_on_the_page_and_shown_once(world: World) -> None:
    browser = world.user("admin")
    made = browser.post("/users/tokens", name="backup", role="viewer", days="90")
    (text,) = {
        word for word in made.text.replace("<", " ").replace(">", " ").split() if word[:8] == "allegro_"
    }
    assert call(world, "GET", "/status", bearer(text)).status_code == 200
    page = browser.page("/users")
    assert "backup" in page
    assert "last used" in page
    assert text not in page
    assert "already" in browser.post("/users/tokens", name="backup", role="viewer", days="90").text
    (token,) = world.site.tokens.all()
    assert browser.post("/users/tokens/delete", name=token.id).status_code == 303
    assert "lets nobody in any more" in browser.page("/users")


@pytest.mark.spec("W10", "S1")
@pytest.mark.parametrize("days", [None, "", "abc", "-5", "0", "31", "1000000", "Never"])
def test_a_token_without_end_is_made_only_by_who_asks_for_one(world: World, days: str | None) -> None:
    browser = world.user("admin")
    sent = {"name": "backup", "role": "viewer"} | ({} if days is None else {"days": days})
    refused = browser.post("/users/tokens", None, **sent)
    assert (refused.status_code, world.site.tokens.all()) == (422, [])
    assert 'id="token-days-error" role="alert">Choose when the token ends.' in refused.text
    assert browser.post("/users/tokens", None, **sent | {"days": "never"}).status_code == 200
    assert [token.ends_s for token in world.site.tokens.all()] == [None]


@pytest.mark.spec("S1")
@pytest.mark.parametrize("name", ["root", "nobody", "Root", "NOBODY"])
def test_no_new_user_has_a_name_in_which_the_device_itself_asks(
    world: World, admin: dict[str, str], name: str
) -> None:
    assert {user_of({"type": "http", "headers": []}), NOBODY.name} == set(RESERVED)
    wanted = {"name": name, "role": "viewer", "password": PASSWORD}
    refused = call(world, "POST", "/users", admin, wanted)
    assert (refused.status_code, refused.json()["error"]["place"]) == (422, "name")
    assert "a name of the device itself" in refused.json()["error"]["message"]


@pytest.mark.spec("W1", "W10")
def test_all_that_is_wrong_with_a_new_user_or_token_is_shown_at_its_fields(world: World) -> None:
    browser = world.user("admin")
    refused = browser.post("/users", name="two words", role="king", password="short")
    assert refused.status_code == 422
    for place in ("name", "role", "password"):
        assert refused.text.count(f'id="new-{place}-error" role="alert"') == 1
    assert 'class="message error" role' not in refused.text
    refused = browser.post("/users/tokens", name="two words", role="viewer", days="90")
    assert 'id="token-name-error" role="alert">A name of a token has' in refused.text
    assert 'class="message error" role' not in refused.text
