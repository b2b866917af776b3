"""One way, its pauses and its promises, with a clock that the test sets and a server that obeys it."""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from allegro.notify.courier import Courier
from allegro.notify.delivery import Send, Taken, Undelivered
from allegro.notify.notice import Notice
from allegro.notify.notice_queue import TOGETHER, NoticeQueue, Trouble
from allegro.settings.notifications import Notifications

pytestmark = pytest.mark.spec("X7")

SECOND = 10**9
HOUR = 3600 * SECOND
NOTICE = Notice("0" * 32, 5, "problem", "warning", "meter-7", "UTC", "It is dark.")
MAIL: dict[str, Any] = {
    "enabled": True,
    "server": "mail.example",
    "sender": "a@example.org",
    "recipients": ["b@example.org"],
}


@dataclass
class Server:
    """Takes what it is given, and fails as told."""

    got: list[str] = field(default_factory=list)
    connections: int = 0
    away: Undelivered | None = None
    refused: tuple[str, ...] = ()
    complaint: str = ""
    dies_after: int | None = None
    target: str = "mail.example:587"

    @contextlib.contextmanager
    def connection(self) -> Iterator[Send]:
        self.connections += 1
        if self.away is not None:
            raise self.away
        yield self._send

    def _send(self, notice: Notice) -> Taken:
        if notice.id in self.refused:
            raise Undelivered(f"It does not take {notice.id}.", of_message=True)
        self.got.append(notice.id)
        if self.dies_after == len(self.got):
            raise KeyboardInterrupt  # the power goes: nothing is noted any more
        return Taken("250 OK", self.complaint)


@dataclass
class World:
    path: Path
    server: Server = field(default_factory=Server)
    now_ns: int = 1000 * HOUR
    mail: dict[str, Any] = field(default_factory=lambda: dict(MAIL))

    def __post_init__(self) -> None:
        self.queue = NoticeQueue(self.path)
        self.courier = self.started()

    def started(self) -> Courier:
        return Courier(
            "mail",
            self.queue,
            lambda: Notifications.model_validate({"mail": self.mail}),
            lambda: "meter-7",
            lambda: self.now_ns,
            lambda *_: self.server,
        )

    def put(self, *names: str) -> None:
        for name in names:
            self.queue.add(("mail",), replace(NOTICE, id=name))

    def after(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)
        self.courier.step()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "notifications.sqlite")


def test_messages_go_in_order_by_one_connection_and_only_once(world: World) -> None:
    world.put("a", "b", "c")
    world.after(0)
    world.after(3600)
    assert (world.server.got, world.server.connections) == (["a", "b", "c"], 1)
    assert world.courier.trouble is None


def test_a_day_without_network_costs_no_message_and_each_comes_once(world: World) -> None:
    world.server.away = Undelivered("The server does not answer.", place="mail.example:587", remedy="Wait.")
    tries = []
    for minute in range(24 * 60):
        if minute % 120 == 0:
            world.put(f"{minute}")
        before = world.server.connections
        world.after(60)
        if world.server.connections > before:
            tries.append(minute)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[7:]) == {60}
    assert world.courier.trouble == Trouble("mail.example:587: The server does not answer.", "Wait.")
    assert world.server.got == []
    world.courier = world.started()
    assert world.courier.trouble is not None, "it is not over because the device was restarted"
    world.server.away = None
    for _ in range(120):
        world.after(60)
    assert world.server.got == [str(minute) for minute in range(0, 24 * 60, 120)]
    assert world.courier.trouble is None


def test_when_the_power_goes_between_sent_and_noted_the_same_message_comes_once_more(world: World) -> None:
    world.put("a", "b", "c")
    world.server.dies_after = 2
    with pytest.raises(KeyboardInterrupt):
        world.after(0)
    world.server.dies_after = None
    world.courier = world.started()
    world.after(0)
    world.after(60)
    assert world.server.got == ["a", "b", "b", "c"]


def test_a_message_that_is_refused_holds_up_no_other_and_is_tried_again(world: World) -> None:
    world.server.refused = ("b",)
    world.put("a", "b", "c")
    world.after(0)
    assert world.server.got == ["a", "c"]
    assert world.courier.trouble == Trouble("It does not take b.", "")
    world.put("d")
    world.after(1)
    assert world.server.got == ["a", "c", "d"]
    world.server.refused = ()
    world.after(60)
    assert world.server.got == ["a", "c", "d", "b"]
    assert world.courier.trouble is None


def test_a_server_that_refuses_one_after_the_other_is_left_alone_for_a_while(world: World) -> None:
    world.server.refused = tuple("abcdef")
    world.put(*"abcdef")
    world.after(0)
    assert [each.id for each in world.queue.due("mail", world.now_ns)] == ["d", "e", "f"]
    world.after(30)
    assert world.server.connections == 1
    world.server.refused = ()
    world.after(30)
    assert world.server.got == list("abcdef")


def test_a_server_that_asks_for_a_pause_gets_it(world: World) -> None:
    world.server.away = Undelivered("Too many.", pause_s=600)
    world.put("a")
    world.after(0)
    world.server.away = None
    world.after(599)
    assert world.server.got == []
    world.after(1)
    assert world.server.got == ["a"]


def test_corrected_settings_are_tried_at_once(world: World) -> None:
    world.server.away = Undelivered("The name could not be resolved.")
    world.put("a")
    for _ in range(8):
        world.after(3600)
    world.server.away = None
    world.mail["server"] = "mail2.example"
    world.after(1)
    assert world.server.got == ["a"]


def test_a_way_that_is_switched_off_sends_nothing_and_forgets_what_waited(world: World) -> None:
    world.server.away = Undelivered("Away.")
    world.put("a")
    world.after(0)
    world.mail["enabled"] = False
    world.after(1)
    assert world.courier.trouble is None
    world.server.away = None
    world.mail["enabled"] = True
    world.after(3600)
    assert (world.server.got, world.queue.standing("mail").waiting) == ([], 0)


def test_what_the_server_did_not_do_for_all_is_told_and_nothing_is_sent_twice(world: World) -> None:
    world.server.complaint = "The mail server takes no mail for c@example.org: 550 No such user."
    world.put("a")
    world.after(0)
    world.after(3600)
    assert world.server.got == ["a"]
    assert world.courier.trouble is not None
    assert "550 No such user" in world.courier.trouble.message


def test_a_clock_that_is_set_back_ends_the_pause(world: World) -> None:
    world.server.away = Undelivered("Away.")
    world.put("a")
    world.after(0)
    world.server.away = None
    world.after(-7200)
    assert world.server.got == ["a"]


def test_more_than_goes_together_goes_in_several_turns(world: World) -> None:
    world.put(*map(str, range(TOGETHER + 3)))
    world.after(0)
    world.after(0)
    assert world.server.got == [str(each) for each in range(TOGETHER + 3)]
