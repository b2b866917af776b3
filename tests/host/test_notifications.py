"""Notifications to real servers on the loopback: what arrives, what is refused and why, a day's outage."""

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from allegro.events.event_list import EventList
from allegro.notify.courier import Courier
from allegro.notify.delivery import Undelivered
from allegro.notify.notice import Notice, WayName
from allegro.notify.notice_queue import NoticeQueue
from allegro.notify.notifier import Notifier
from allegro.notify.ways_out import way_out
from allegro.settings.model import Settings
from allegro.settings.notifications import Notifications
from allegro.supervisor.__main__ import set_up_log
from tests.harness.certificates import TestAuthority
from tests.harness.receivers import PASSWORD, USER, MailServer, SyslogServer, WebServer, tls
from tests.harness.waiting import wait_for
from tests.host.sending import PowerCut

pytestmark = [pytest.mark.spec("X7"), pytest.mark.timeout(120)]

NOTICE = Notice("a" * 32, 1_795_271_405_000_000_000, "problem", "warning", "meter-7", "UTC", "It is dark.", 7)
ANNA, BEN = "anna@example.org", "ben@example.org"
SECRET_PATH = "/services/T00000000/B0000/XXXXsecretXXXX"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def chain(authority: TestAuthority) -> str:
    return str(authority.issue("server", server=True).chain)


def mail(server: MailServer, **more: Any) -> dict[str, Any]:
    security = "starttls" if server.starttls else "tls" if server.encrypted else "none"
    login = {"username": USER, "password": PASSWORD} if server.log_in else {}
    there = {"server": "localhost", "port": server.port, "security": security, **login}
    return {"mail": {"enabled": True, "sender": "meter@example.org", "recipients": [ANNA], **there, **more}}


def webhook(server: WebServer, scheme: str = "https", path: str = SECRET_PATH, **more: Any) -> dict[str, Any]:
    url = f"{scheme}://localhost:{server.port}{path}"
    return {"webhook": {"enabled": True, "url": url, **more}}


def syslog(server: SyslogServer, **more: Any) -> dict[str, Any]:
    return {"syslog": {"enabled": True, "server": "localhost", "port": server.port, **more}}


def notifications(settings: dict[str, Any], authority: TestAuthority | None = None) -> Notifications:
    return Notifications.model_validate({**settings, "certificate": authority.pem if authority else ""})


def send(settings: Notifications, notice: Notice = NOTICE) -> tuple[str, str]:
    """Sends by the way that is on; what the server said, and its complaint."""
    (name,) = [each for each in ("mail", "webhook", "syslog") if getattr(settings, each).enabled]
    with way_out(name, settings, "meter-7").connection() as hand_over:  # type: ignore[arg-type]
        taken = hand_over(notice)
    return taken.words, taken.complaint


def refusal(settings: Notifications) -> Undelivered:
    with pytest.raises(Undelivered) as caught:
        send(settings)
    return caught.value


@pytest.mark.parametrize(
    "kind", ["starttls with log-in", "tls with log-in", "tls with log-in, old", "tls", "open"]
)
def test_e_mail_arrives_once_and_the_servers_answer_is_shown(
    authority: TestAuthority, chain: str, kind: str
) -> None:
    context = tls(chain)
    server = MailServer(
        starttls=context if kind.startswith("starttls") else None,
        encrypted=context if kind.startswith("tls") else None,
        log_in="log-in" in kind,
        no_mechanism="PLAIN" if "old" in kind else "",
    )
    with server:
        said = send(notifications(mail(server, recipients=[ANNA, BEN]), authority))
        send(notifications(mail(server), authority))
    assert said == ("The mail server has taken the message: 250 2.0.0 Ok: queued as 1.", "")
    first, again = server.messages
    assert server.envelopes[0].mail_from == "meter@example.org"
    assert server.envelopes[0].rcpt_tos == [ANNA, BEN]
    assert first["Subject"] == "meter-7: It is dark."
    assert first["Message-ID"] == again["Message-ID"] == f"<{NOTICE.id}@meter-7.local>"


MAIL_REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], str, bool]] = {
    "wrong password": (
        {"log_in": True},
        {"password": "wrong"},
        "did not accept user meter with this password: 535",
        False,
    ),
    "no log-in": ({"log_in": True}, {"username": "", "password": ""}, "530", True),
    "no such user": ({"no_such": (ANNA,)}, {}, f"takes no mail for {ANNA}: 550 5.1.1 {ANNA}: no such", True),
    "full": ({"no_data": "552 5.2.2 Mailbox full"}, {}, "does not take the message: 552 5.2.2 Mailbox", True),
    "going down": ({"no_data": "421 4.3.2 Going down"}, {}, "refuses: 421 4.3.2 Going down", False),
}


@pytest.mark.parametrize("case", MAIL_REFUSALS)
def test_a_mail_server_that_refuses_is_told_in_its_own_words(
    authority: TestAuthority, chain: str, case: str
) -> None:
    server_has, settings_have, words, of_message = MAIL_REFUSALS[case]
    with MailServer(encrypted=tls(chain), **server_has) as server:
        error = refusal(notifications(mail(server, **settings_have), authority))
    assert words in error.message
    assert error.of_message is of_message
    assert error.remedy
    assert PASSWORD not in str(error)
    assert server.envelopes == []


def test_a_recipient_that_is_refused_keeps_the_message_from_no_other(
    authority: TestAuthority, chain: str
) -> None:
    with MailServer(encrypted=tls(chain), no_such=(BEN,)) as server:
        words, complaint = send(notifications(mail(server, recipients=[ANNA, BEN]), authority))
    assert "queued as 1" in words
    assert complaint == f"The mail server takes no mail for {BEN}: 550 5.1.1 {BEN}: no such user."
    assert [each.rcpt_tos for each in server.envelopes] == [[ANNA]]


def test_nothing_secret_is_sent_where_the_encryption_is_missing_or_not_trusted(
    authority: TestAuthority, chain: str
) -> None:
    with MailServer(log_in=True) as server:
        error = refusal(notifications(mail(server, security="starttls"), authority))
        assert "offers no encryption by STARTTLS" in error.message
        error = refusal(notifications(mail(server, security="tls"), authority))
        assert "No encrypted connection comes about" in error.message
    for server in (MailServer(starttls=tls(chain), log_in=True), MailServer(encrypted=tls(chain))):
        with server:
            error = refusal(notifications(mail(server)))
        assert "certificate is not trusted" in error.message
        assert server.envelopes == []


@pytest.mark.parametrize("form", ["json", "ntfy", "slack", "teams"])
def test_a_webhook_is_called(authority: TestAuthority, chain: str, form: str) -> None:
    with WebServer(tls(chain)) as server:
        said = send(notifications(webhook(server, form=form, token="tk_1234567"), authority))
    assert said == ("The web server has taken the message: HTTP 200 ok.", "")
    (call,) = server.calls
    assert call.path == (SECRET_PATH.rpartition("/")[0] + "/" if form == "ntfy" else SECRET_PATH)
    assert call.headers["Authorization"] == "Bearer tk_1234567"
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["Idempotency-Key"] == f'"{NOTICE.id}"'
    assert "It is dark." in json.dumps(call.body)


WEB_REFUSALS: dict[str, tuple[tuple[int, dict[str, str], str], str, bool, float | None]] = {
    "not found": ((404, {}, "no_service"), "HTTP 404 no_service", False, None),
    "bad form": ((400, {}, "invalid_payload\n"), "HTTP 400 invalid_payload", True, None),
    "too many": ((429, {"Retry-After": "90"}, ""), "HTTP 429", False, 90),
    "far too many": ((503, {"Retry-After": "86400"}, ""), "HTTP 503", False, 3600),
    "elsewhere": (
        (301, {"Location": "https://other.example/"}, ""),
        "sends the device to another",
        False,
        None,
    ),
    "repeats": (
        (403, {}, f"POST {SECRET_PATH} by tk_1234567?"),
        "HTTP 403 POST /******** by ********?",
        False,
        None,
    ),
}


@pytest.mark.parametrize("case", WEB_REFUSALS)
def test_a_web_server_that_refuses_is_told_without_secrets(
    authority: TestAuthority, chain: str, case: str
) -> None:
    answer, words, of_message, pause_s = WEB_REFUSALS[case]
    with WebServer(tls(chain)) as server:
        server.answer = answer
        settings = notifications(webhook(server, token="tk_1234567"), authority)
        error = refusal(settings)
        assert way_out("webhook", settings, "meter-7").target == f"localhost:{server.port}"
        assert refusal(notifications(webhook(server))).message.startswith("The server's certificate is not")
    assert words in error.message
    assert (error.of_message, error.pause_s) == (of_message, pause_s)
    assert "secret" not in str(error)


def test_the_address_of_a_webhook_is_not_in_the_supervisors_log(caplog: pytest.LogCaptureFixture) -> None:
    for each in (None, "httpx", "httpcore", "paramiko"):
        caplog.set_level(logging.INFO, each)
    with WebServer() as server:
        send(notifications(webhook(server, "http")))
        assert SECRET_PATH in caplog.text
        caplog.clear()
        set_up_log()
        send(notifications(webhook(server, "http")))
    assert SECRET_PATH not in caplog.text


@pytest.mark.parametrize("encrypted", [True, False])
def test_syslog_messages_arrive_in_their_frames(
    authority: TestAuthority, chain: str, encrypted: bool
) -> None:
    with SyslogServer(tls(chain) if encrypted else None) as server:
        settings = notifications(syslog(server, tls=encrypted), authority)
        with way_out("syslog", settings, "meter-7").connection() as hand_over:
            words = hand_over(NOTICE).words
            hand_over(replace(NOTICE, number=8, text="Größe."))
        wait_for(lambda: len(server.messages) == 2, "both messages", 30)
    assert ("TLSv1.3" if encrypted else "without encryption") in words
    start = "<132>1 2026-11-21T14:30:05.000000+00:00 meter-7 allegro - problem [meta sequenceId="
    assert server.messages == [f'{start}"7"] It is dark.', f'{start}"8"] \ufeffGröße.']


def test_a_syslog_server_that_wants_a_certificate_has_not_taken_the_message(
    authority: TestAuthority, chain: str
) -> None:
    with SyslogServer(tls(chain, clients=str(authority.certificate))) as server:
        error = refusal(notifications(syslog(server), authority))
    # as its complaint comes before or after the end of the connection
    assert error.message.startswith(("No encrypted connection comes about", "The connection to the server"))
    assert server.messages == []


def test_what_is_no_mail_server_is_told_as_that() -> None:
    def greet() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"\x00\xff<html>nonsense\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener, MailServer() as gone:
        greeting = threading.Thread(target=greet)
        greeting.start()
        error = refusal(notifications(mail(gone, port=listener.getsockname()[1])))
        greeting.join()
    assert (error.message, error.of_message) == ("What answers there is no mail server.", False)
    assert error.remedy == "Check server and port."


def test_a_server_that_is_not_there_is_told_for_each_way() -> None:
    with MailServer() as gone_mail, WebServer() as gone_web, SyslogServer() as gone_log:
        settings = (mail(gone_mail), webhook(gone_web, "http"), syslog(gone_log, tls=False))
    for each in settings:
        assert refusal(notifications(each)).message == "The server refused the connection."


Makes = Callable[[int], Any]
WAYS: dict[WayName, tuple[Makes, Callable[[Any], dict[str, Any]], Callable[[Any], list[str]]]] = {
    "mail": (
        lambda port: MailServer(port=port),
        mail,
        lambda server: [str(each["Message-ID"])[1:33] for each in server.messages],
    ),
    "webhook": (
        lambda port: WebServer(port=port),
        lambda server: webhook(server, "http", form="json"),
        lambda server: [call.body["id"] for call in server.calls],
    ),
    "syslog": (
        lambda port: SyslogServer(port=port),
        lambda server: syslog(server, tls=False),
        lambda server: [
            f"{int(each.split('sequenceId=')[1].split(chr(34))[1]) - 1:032x}" for each in server.messages
        ],
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_after_a_day_without_the_server_each_message_comes_once(tmp_path: Path, name: WayName) -> None:
    make, settings_of, ids = WAYS[name]
    with make(0) as server:
        port = server.port
    settings = notifications(settings_of(server))
    queue = NoticeQueue(tmp_path / "notifications.sqlite")
    now = [NOTICE.time_ns]
    courier = Courier(name, queue, lambda: settings, lambda: "meter-7", lambda: now[0])

    def trouble() -> str:
        return courier.trouble.message if courier.trouble else ""

    expected = [f"{number:032x}" for number in range(24)]
    for each in expected:
        queue.add((name,), replace(NOTICE, id=each))
        for _ in range(60):
            now[0] += 60 * 10**9
            courier.step()
    assert "refused the connection" in trouble()
    assert queue.standing(name).waiting == 24
    with make(port) as server:
        for _ in range(120):
            now[0] += 60 * 10**9
            courier.step()
        wait_for(lambda: len(ids(server)) >= 24, "all messages", 30)
        assert ids(server) == expected
    assert trouble() == ""
    assert queue.standing(name).waiting == 0


@pytest.mark.parametrize("name", WAYS)
def test_after_a_power_cut_a_message_comes_at_most_once_more_and_with_its_id(
    tmp_path: Path, name: WayName, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, settings_of, ids = WAYS[name]
    first, second = (f"{number:032x}" for number in range(2))
    with make(0) as server:
        settings = notifications(settings_of(server))
        queue = NoticeQueue(tmp_path / "notifications.sqlite")
        for each in (first, second):
            queue.add((name,), replace(NOTICE, id=each))
        with monkeypatch.context() as dying:
            dying.setattr(NoticeQueue, "sent", power_goes)  # the server has it, and the disk does not know
            with pytest.raises(PowerCut):
                Courier(name, queue, lambda: settings, lambda: "meter-7", lambda: NOTICE.time_ns).step()
        again = NoticeQueue(tmp_path / "notifications.sqlite")
        Courier(name, again, lambda: settings, lambda: "meter-7", lambda: NOTICE.time_ns).step()
        wait_for(lambda: len(ids(server)) >= 3, "all messages", 30)
        assert ids(server) == [first, first, second]
    assert again.standing(name).waiting == 0


def power_goes(*_: object) -> None:
    raise PowerCut


class Device:
    """The events of a device, told by all ways."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.path = folder / "notifications.sqlite"
        self.settings = settings
        self.start()

    def start(self) -> None:
        self.events = EventList(self.path.parent / "events.json")
        self.notifier = Notifier(self.path, lambda: self.settings, lambda: "meter-7")
        self.events.follow(self.notifier.hear)
        self.notifier.start()

    def stop(self) -> None:
        self.notifier.stop()


@pytest.fixture
def servers(chain: str) -> Iterator[tuple[MailServer, WebServer, SyslogServer]]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(MailServer(starttls=tls(chain), log_in=True)),
            stack.enter_context(WebServer(tls(chain))),
            stack.enter_context(SyslogServer(tls(chain))),
        )


def test_what_happens_on_the_device_reaches_people_by_all_ways_also_after_a_restart(
    authority: TestAuthority, servers: tuple[MailServer, WebServer, SyslogServer], tmp_path: Path
) -> None:
    post, web, log = servers
    web.answer = (503, {}, "later")
    ways = {**mail(post), **webhook(web, form="slack"), **syslog(log), "certificate": authority.pem}
    device = Device(tmp_path, Settings.model_validate({"notifications": ways}))
    device.events.note("press", "Pressed next", source="Logitech R400")
    device.events.note("capture", "The capture a.pcapng is complete", source="Logitech R400")
    device.events.note("settings", "Changed export.host", who="anna")
    wait_for(lambda: len(post.messages) == 1 and len(log.messages) == 2, "mail and syslog", 30)
    wait_for(device.notifier.problems, "the webhook's trouble", 30)
    assert [each["Subject"] for each in post.messages] == ["meter-7: The capture a.pcapng is complete."]
    (problem,) = device.notifier.problems()
    assert problem.id == "notify-webhook"
    assert "HTTP 503 later" in problem.text
    device.stop()
    content = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"a.pcapng" in content
    for secret in (PASSWORD, SECRET_PATH, "XXXXsecretXXXX"):
        assert secret.encode() not in content
    web.answer = (200, {}, "ok")
    refused = len(web.calls)
    device.start()
    wait_for(lambda: len(web.calls) == refused + 1, "the message of before", 30)
    assert "The capture a.pcapng is complete." in web.calls[-1].body["text"]
    wait_for(lambda: all(not each.standing.waiting for each in device.notifier.status()), "nothing", 30)
    assert device.notifier.problems() == []
    assert "queued as 2" in device.notifier.test("mail")
    device.stop()
    assert (len(post.messages), len(web.calls), len(log.messages)) == (2, refused + 1, 2)
