"""What people read, and who is told what: by value."""

import email
import json
from dataclasses import replace
from email.header import decode_header, make_header
from typing import get_args

import pytest

from allegro.events.event import Event, Kind
from allegro.notify import mail_message, syslog_line, webhook_forms
from allegro.notify.notice import Notice
from allegro.notify.wording import _TOLD, notice_of, sentence, wanted_by
from allegro.settings.notifications import Notifications, Told

pytestmark = pytest.mark.spec("X7")

AT = 1_795_271_405_123_456_789  # 2026-11-21 14:30:05 UTC
ID = "0123456789abcdef0123456789abcdef"
PROBLEM = Notice(
    ID, AT, "problem", "warning", "meter-7", "Europe/Berlin", "The disk <sda> is 90 % full & slow.", number=7
)


def event(kind: str, text: str, who: str = "", source: str = "") -> Event:
    return Event(AT, kind, text, who, source, last_ns=AT)


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        (event("press", "Pressed next", source="Logitech R400"), "Pressed next on Logitech R400."),
        (
            event("press", "Pressed by page or program", "anna", "192.0.2.1"),
            "Pressed by page or program (anna).",
        ),
        (event("capture", "The capture a.pcapng is complete"), "The capture a.pcapng is complete."),
        (
            event("problem", "No packets are being recorded: the disk …"),
            "No packets are being recorded: the disk …",
        ),
        (event("problem-over", "No longer a problem: It was dark."), "No longer a problem: It was dark."),
        (
            event("login", "Logged in to the page", "anna", "192.0.2.1"),
            "Logged in to the page (anna, 192.0.2.1).",
        ),
        (
            replace(event("login-failed", "Unknown user name", source="2001:db8::/64"), count=12),
            "Unknown user name (2001:db8::/64), 12 times.",
        ),
        (
            event("settings", "Changed export.password", "root", "this device"),
            "Changed export.password (root, this device).",
        ),
        (event("firmware", "Installed 0.2.0 in slot B."), "Installed 0.2.0 in slot B."),
    ],
)
def test_an_event_is_told_in_one_sentence(happened: Event, expected: str) -> None:
    assert sentence(happened) == expected
    made = notice_of(happened, ID, "meter-7", "UTC")
    assert (made.id, made.time_ns, made.text, made.device) == (ID, AT, expected, "meter-7")


def settings(**ways: object) -> Notifications:
    mail = {"server": "mail.example", "sender": "a@example.org", "recipients": ["b@example.org"]}
    syslog = {"server": "log.example"}
    ways_on = {name: {**given, "enabled": True} for name, given in (("mail", mail), ("syslog", syslog))}
    return Notifications.model_validate({**ways_on, **ways})


@pytest.mark.parametrize(
    ("kind", "ways"),
    [
        ("press", ("syslog",)),  # who gets an e-mail for each press soon reads none
        ("capture", ("mail", "syslog")),
        ("capture-failed", ("mail", "syslog")),
        ("upload", ("syslog",)),
        ("problem", ("mail", "syslog")),
        ("problem-over", ("mail", "syslog")),
        ("release", ("mail", "syslog")),
        ("login", ()),
        ("settings", ()),
        ("a kind of a newer version", ()),
    ],
)
def test_each_way_is_told_what_it_is_set_to(kind: str, ways: tuple[str, ...]) -> None:
    assert wanted_by(event(kind, "x"), settings()) == ways


@pytest.mark.spec("S7")
@pytest.mark.parametrize(
    ("kind", "ways"),
    [
        ("login", ("mail",)),
        ("login-failed", ("mail",)),
        ("logout", ("mail",)),
        ("download", ("mail",)),
        ("settings", ("syslog",)),
        ("user", ("syslog",)),
        ("firmware", ("syslog",)),
        ("firmware-order", ("syslog",)),
        ("file", ("syslog",)),
    ],
)
def test_who_came_in_and_who_changed_what_is_told_where_somebody_asks_for_it(
    kind: str, ways: tuple[str, ...]
) -> None:
    known = settings()
    mail = known.mail.model_copy(update={"tell": Told(access=True)})
    syslog = known.syslog.model_copy(update={"tell": Told(changes=True)})
    assert wanted_by(event(kind, "x"), known.model_copy(update={"mail": mail, "syslog": syslog})) == ways


@pytest.mark.spec("S7")
def test_every_kind_of_event_can_be_told() -> None:
    assert set(_TOLD) == set(get_args(Kind))
    assert {field for field, _ in _TOLD.values()} == set(Told.model_fields)


def test_a_way_that_is_off_is_told_nothing_and_none_tells_of_its_own_trouble() -> None:
    assert wanted_by(event("capture", "x"), Notifications()) == ()
    trouble = event("problem", "Notifications by e-mail do not get through", source="notify-mail")
    assert wanted_by(trouble, settings()) == ("syslog",)


@pytest.mark.parametrize(
    ("zone", "moment", "iso"),
    [
        ("UTC", "2026-11-21 14:30:05 UTC", "2026-11-21T14:30:05.123456+00:00"),
        ("Europe/Berlin", "2026-11-21 15:30:05 CET (UTC+01:00)", "2026-11-21T15:30:05.123456+01:00"),
        ("Asia/Dubai", "2026-11-21 18:30:05 UTC+04:00", "2026-11-21T18:30:05.123456+04:00"),
        ("Nowhere/Land", "2026-11-21 14:30:05 UTC", "2026-11-21T14:30:05.123456+00:00"),
    ],
)
def test_the_time_is_told_with_its_zone(zone: str, moment: str, iso: str) -> None:
    made = Notice(ID, AT, "capture", "info", "meter-7", zone, "x.")
    assert (made.moment, made.iso) == (moment, iso)


def test_an_e_mail() -> None:
    content = mail_message.content(PROBLEM, "meter@example.org", ["anna@example.org", "ben@example.org"])
    assert content == (
        b"From: meter@example.org\r\n"
        b"To: anna@example.org, ben@example.org\r\n"
        b"Subject: meter-7: The disk <sda> is 90 % full & slow.\r\n"
        b"Date: Sat, 21 Nov 2026 15:30:05 +0100\r\n"
        b"Message-ID: <0123456789abcdef0123456789abcdef@meter-7.local>\r\n"
        b"Auto-Submitted: auto-generated\r\n"
        b'Content-Type: text/plain; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"MIME-Version: 1.0\r\n"
        b"\r\n"
        b"The disk <sda> is 90 % full & slow.\r\n"
        b"\r\n"
        b"Device: meter-7\r\n"
        b"Time: 2026-11-21 15:30:05 CET (UTC+01:00)\r\n"
    )


def test_an_e_mail_is_ascii_whatever_is_in_it() -> None:
    text = "The file Größe…" + "ü" * 180 + ".pcapng is complete."
    made = Notice(ID, AT, "capture", "info", "meter-7", "UTC", text)
    content = mail_message.content(made, "meter@example.org", ["anna@example.org"])
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 78
    read = email.message_from_bytes(content)
    assert str(make_header(decode_header(read["Subject"]))) == f"meter-7: {text}"
    assert bytes(read.get_payload(decode=True)).decode().startswith(text)


def test_webhooks_get_the_form_that_they_understand() -> None:
    url = "https://hooks.example/services/T0/secret"
    assert webhook_forms.call("json", url, PROBLEM) == (
        url,
        {
            "id": ID,
            "time": "2026-11-21T15:30:05.123456+01:00",
            "device": "meter-7",
            "kind": "problem",
            "severity": "warning",
            "text": "The disk <sda> is 90 % full & slow.",
        },
    )
    escaped = "The disk &lt;sda&gt; is 90 % full &amp; slow."
    text = f"meter-7, 2026-11-21 15:30:05 CET (UTC+01:00): {escaped}"
    assert webhook_forms.call("slack", url, PROBLEM) == (url, {"text": text, "mrkdwn": False})
    message = "The disk <sda> is 90 % full & slow.\n2026-11-21 15:30:05 CET (UTC+01:00)"
    assert webhook_forms.call("ntfy", "https://ntfy.example/on/our%20topic/", PROBLEM) == (
        "https://ntfy.example/on/",
        {"topic": "our topic", "title": "meter-7", "message": message, "priority": 4},
    )
    assert webhook_forms.call("ntfy", "https://ntfy.sh/alarm", PROBLEM)[0] == "https://ntfy.sh/"
    where, card = webhook_forms.call("teams", url, PROBLEM)
    assert where == url
    (attachment,) = card["attachments"]
    assert (card["type"], attachment["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    assert (attachment["content"]["type"], attachment["content"]["version"]) == ("AdaptiveCard", "1.4")
    runs = [run["text"] for block in attachment["content"]["body"] for run in block["inlines"]]
    assert runs == [PROBLEM.text, "meter-7, 2026-11-21 15:30:05 CET (UTC+01:00)"]
    assert ID not in json.dumps(card)


def test_a_syslog_message_in_its_frame() -> None:
    message = (
        '<132>1 2026-11-21T15:30:05.123456+01:00 meter-7 allegro - problem [meta sequenceId="7"]'
        " The disk <sda> is 90 % full & slow."
    )
    assert syslog_line.frame(PROBLEM) == f"{len(message)} {message}".encode()
    trial = Notice(ID, AT, "test", "info", "a b", "UTC", "Größe.", number=0)
    expected = "<134>1 2026-11-21T14:30:05.123456+00:00 ab allegro - test - \ufeffGröße.".encode()
    assert syslog_line.frame(trial) == b"%d %s" % (len(expected), expected)
    last = Notice(ID, AT, "press", "info", "a", "UTC", "x.", number=2**31)
    assert b'sequenceId="1"' in syslog_line.frame(last)
