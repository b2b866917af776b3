"""The door of the page with the real programs: who gets in, in which spelling, and beside whom."""

import json
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from allegro.accounts.roles import Role
from tests.harness.waiting import PATIENCE
from tests.harness.web_programs import PASSWORDS, UNCHECKED, Programs, basic, web_programs

FILE = "20261121T143005Z_presenter_next.pcapng"
CONTENT = b"PACKETS-OF-OTHERS\n"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    folder: Path = tmp_path_factory.mktemp("door")
    with web_programs(folder) as made:
        (made.paths.storage / FILE).write_bytes(CONTENT)
        yield made


@pytest.mark.spec("S1")
@pytest.mark.parametrize(
    "path",
    ["", "x/../", "./", "x/%2e%2e/", "/", "ring/..//", "%2e/"],
)
def test_a_viewer_opens_no_capture_in_any_spelling(programs: Programs, path: str) -> None:
    viewer = basic("viewer", PASSWORDS["viewer"])
    for folder in ("files", "%66iles"):
        status, _, content = programs.request("GET", f"/api/{path}{folder}/{FILE}", viewer)
        assert status == (400 if path else 403), content
        assert CONTENT not in content
    status, _, content = programs.request("GET", f"/api/files/{FILE}", basic("capture", PASSWORDS["capture"]))
    assert (status, content) == (200, CONTENT)


@pytest.mark.spec("S3")
@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_uploads_that_one_user_holds_keep_nobody_else_waiting(programs: Programs, role: Role) -> None:
    headers = basic("admin", PASSWORDS["admin"]) | {"Content-Type": "application/json"}
    wanted = json.dumps({"name": f"uploads-{role}", "role": role}).encode()
    token = json.loads(programs.request("POST", "/api/tokens", headers, wanted)[2])["token"]
    head = f"PUT /api/firmware/files/a.raucb HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 30}\r\n"
    with ExitStack() as stack:
        for _ in range(60):
            plain = socket.create_connection(("127.0.0.1", programs.https_port), 10, ("127.0.0.2", 0))
            held = stack.enter_context(UNCHECKED.wrap_socket(plain))
            held.sendall(f"{head}Authorization: Bearer {token}\r\n\r\nthe first of it".encode())
        for other in ("capture", "viewer", "admin"):
            status, _, answer = programs.request("GET", "/api/status", basic(other, PASSWORDS[other]))
            assert status == 200, answer
        if role == "viewer":
            assert b" 403 " in held.recv(1000)


@pytest.mark.spec("S3")
@pytest.mark.parametrize("length", [3, 9])
def test_an_upload_that_says_its_length_in_two_ways_is_refused_and_its_connection_closed(
    programs: Programs, length: int
) -> None:
    login = basic("admin", PASSWORDS["admin"])["Authorization"]
    head = f"PUT /api/firmware/files/a.raucb HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\n"
    plain = socket.create_connection(("127.0.0.1", programs.https_port), 10)
    with UNCHECKED.wrap_socket(plain) as held:
        held.sendall(f"{head}Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        held.sendall(b"5\r\n12345\r\n0\r\n\r\n")
        answer = b"".join(iter(lambda: held.recv(10_000), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"in two ways" in answer


@pytest.mark.spec("W10")
def test_an_uploaded_certificate_is_shown_to_the_next_who_comes_and_gone_when_it_is_forgotten(
    programs: Programs, tmp_path: Path
) -> None:
    admin = basic("admin", PASSWORDS["admin"]) | {"Content-Type": "application/json"}
    there = ("127.0.0.1", programs.https_port)
    own = ssl.get_server_certificate(there)
    # Of another kind of key than the own one: TLS could show both, to each client the one that it prefers.
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "-", "-subj", "/CN=x"]
    command += ["-addext", "subjectAltName=DNS:x.example", "-days", "60"]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    status, _, answer = programs.request("PUT", "/api/certificate", admin, json.dumps({"pem": made}).encode())
    assert status == 200, answer
    uploaded = ssl.get_server_certificate(there)
    assert uploaded.strip() in made
    assert json.loads(answer)["pem"] == uploaded
    status, _, answer = programs.request("DELETE", "/api/certificate", admin)
    assert status == 200, answer
    assert ssl.get_server_certificate(there) == own


@pytest.mark.spec("S7")
def test_who_came_in_and_did_what_is_listed_and_a_broken_request_says_little(programs: Programs) -> None:
    admin = basic("admin", PASSWORDS["admin"])
    said = len(programs.log.read_text())
    with (
        socket.create_connection(("127.0.0.1", programs.https_port)) as plain,
        UNCHECKED.wrap_socket(plain) as connection,
    ):
        connection.sendall(b"POST /login HTTP/1.1\r\nHost: device\r\nContent-Length: 100\r\n\r\nname=ad")
    assert programs.request("GET", "/api/status", basic("admin", "guessed"))[0] == 401
    assert programs.request("GET", "/api/status", basic("a\nroot: all is well", "guessed"))[0] == 401
    headers = {**admin, "Content-Type": "application/json"}
    patch = b'{"export": {"password": "a word of mine"}}'
    assert programs.request("PATCH", "/api/settings", headers, patch)[0] == 200
    assert programs.request("GET", f"/api/files/{FILE}", admin)[0] == 200
    wanted = {
        ("login-failed", "admin", "127.0.0.1", "Wrong password"),
        ("login-failed", "", "127.0.0.1", "Unknown user name"),
        ("login", "admin", "127.0.0.1", "Logged in by a program"),
        ("settings", "admin", "127.0.0.1", "Changed export.password"),
        ("download", "admin", "127.0.0.1", f"Downloaded {FILE}"),
    }
    found: set[tuple[str, ...]] = set()
    deadline = time.monotonic() + 20 * PATIENCE
    while not wanted <= found:
        assert time.monotonic() < deadline, wanted - found
        time.sleep(0.1)
        listed = json.loads(programs.request("GET", "/api/events", admin)[2])["events"]
        found = {(each["kind"], each["who"], each["source"], each["text"]) for each in listed}
    log = programs.log.read_text()[said:]
    assert "Traceback" not in log
    assert max(map(len, log.splitlines()), default=0) < 300
    kept = programs.paths.events
    while not (kept.exists() and "Changed export.password" in kept.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "a word of mine" not in kept.read_text()


@pytest.mark.spec("W1")
@pytest.mark.parametrize(
    ("version", "spoken"),
    [
        (ssl.TLSVersion.TLSv1, ""),
        (ssl.TLSVersion.TLSv1_1, ""),
        (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
    ],
)
def test_no_version_of_tls_is_spoken_that_nobody_should(
    programs: Programs, version: ssl.TLSVersion, spoken: str
) -> None:
    context = ssl._create_unverified_context()
    context.set_ciphers("ALL:@SECLEVEL=0")  # else this end would refuse the old ones itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", programs.https_port), 10) as plain:
        if spoken:
            with context.wrap_socket(plain) as connection:
                assert connection.version() == spoken
        else:
            # What was sent came to an end at the other side: mostly asyncio closes before the alert is out.
            assert refusal(context, plain) in ("TLSV1_ALERT_PROTOCOL_VERSION", "UNEXPECTED_EOF_WHILE_READING")


def refusal(context: ssl.SSLContext, plain: socket.socket) -> str:
    """What became of an attempt to speak TLS."""
    try:
        context.wrap_socket(plain).close()
    except ssl.SSLError as error:
        return error.reason
    except ConnectionResetError:
        return "UNEXPECTED_EOF_WHILE_READING"
    return ""


@pytest.mark.spec("W1")
def test_every_answer_tells_browsers_what_the_page_does_not_do(programs: Programs) -> None:
    for path in ("/login", "/static/allegro.js", "/api/status", "/nothing", "/static/nothing"):
        _, headers, _ = programs.request("GET", path)
        told = {name.lower(): value for name, value in headers.items()}
        policy = told["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert told["x-content-type-options"] == "nosniff", path
        assert told["referrer-policy"] == "no-referrer", path
        assert told["cross-origin-opener-policy"] == "same-origin", path
        assert "server" not in told, path
