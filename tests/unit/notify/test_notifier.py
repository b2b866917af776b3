"""From events to the queue: also while the disk takes nothing, and without waiting for it."""

from pathlib import Path

import pytest

from allegro.errors import Conflict
from allegro.events.event_list import EventList
from allegro.notify.floods import OF_KIND
from allegro.notify.notice_queue import NoticeQueue, Standing
from allegro.notify.notifier import Notifier, WayStatus
from allegro.settings.model import Settings

pytestmark = pytest.mark.spec("X7")

MAIL = {
    "enabled": True,
    "server": "mail.example",
    "sender": "a@example.org",
    "recipients": ["b@example.org", "c@example.org"],
}


def made(path: Path, **ways: object) -> tuple[Notifier, EventList]:
    settings = Settings.model_validate({"notifications": ways, "time": {"zone": "Europe/Berlin"}})
    notifier = Notifier(path, lambda: settings, lambda: "meter-7", lambda: 5)
    events = EventList(path.with_name("events.json"), now_ns=lambda: 7)
    events.follow(notifier.hear)
    return notifier, events


def test_what_is_to_be_told_is_kept_with_the_device_and_its_zone(tmp_path: Path) -> None:
    path = tmp_path / "notifications.sqlite"
    notifier, events = made(path, mail=MAIL)
    events.note("capture", "The capture a.pcapng is complete")
    events.note("upload", "Nobody wants to know")
    notifier.take_in()
    (notice,) = NoticeQueue(path).due("mail", 10)
    assert (notice.time_ns, notice.kind) == (7, "capture")
    assert (notice.device, notice.zone) == ("meter-7", "Europe/Berlin")
    assert notice.text == "The capture a.pcapng is complete."
    assert len(notice.id) == 32


def test_each_way_says_how_it_is(tmp_path: Path) -> None:
    notifier, events = made(
        tmp_path / "notifications.sqlite", mail=MAIL, webhook={"url": "https://h.example/x"}
    )
    events.note("problem", "It is dark.", source="dark")
    notifier.take_in()
    target = "b@example.org, c@example.org by mail.example:587"
    assert notifier.status() == [
        WayStatus("mail", True, target, Standing(1, 0, 0), 0, None),
        WayStatus("webhook", False, "h.example", Standing(), 0, None),
        WayStatus("syslog", False, "", Standing(), 0, None),
    ]
    assert notifier.problems() == []


def test_a_test_of_what_is_not_set_up_says_so(tmp_path: Path) -> None:
    notifier, _ = made(tmp_path / "notifications.sqlite")
    with pytest.raises(Conflict, match="not set up yet") as caught:
        notifier.test("mail")
    assert caught.value.place == "notifications.mail.server"


def test_while_the_disk_takes_nothing_it_waits_in_memory_and_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    notifier, events = made(folder / "notifications.sqlite", mail=MAIL)
    events.note("problem", "It is dark.", source="dark")
    events.note("problem", "It is cold.", source="cold")
    notifier.take_in()
    (problem,) = notifier.problems()
    assert (problem.id, problem.severity) == ("notify-queue", "warning")
    folder.mkdir()
    notifier.take_in()
    assert notifier.problems() == []
    assert [each.text for each in NoticeQueue(folder / "notifications.sqlite").due("mail", 10)] == [
        "It is dark.",
        "It is cold.",
    ]


@pytest.mark.spec("S7")
def test_a_flood_of_wrong_passwords_is_told_and_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "notifications.sqlite"
    notifier, events = made(path, mail={**MAIL, "tell": {"access": True}})
    events.note("problem", "It is dark.", source="dark")
    for number in range(1000):
        events.note("login-failed", "Wrong password", who="admin", source=f"192.0.2.{number % 250}")
    events.note("login", "Logged in to the page", who="anna", source="192.0.2.1")
    notifier.take_in()
    told = [each.text for each in NoticeQueue(path).due("mail", 10)]
    assert told[:2] == ["It is dark.", "Wrong password (admin, 192.0.2.0)."]
    assert told[-2:] == [
        "More of the kind login-failed is not told for up to an hour; the page Log counts it.",
        "Logged in to the page (anna, 192.0.2.1).",
    ]
    assert len(told) == 1 + OF_KIND + 2
