"""From 0.1.0 to this version, back, and here again, on the image, as its user does it with the page.

The programs of both, without an image, are in tests/host/test_from_0_1_0.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from allegro.settings.patches import merged
from tests.conftest import Lab, StartLab
from tests.harness import first_release, image_under_test, updating
from tests.harness.bundle_maker import BundleMaker
from tests.harness.captures import Packet
from tests.harness.frames import series
from tests.harness.in_use import (
    SET_BY_NEW,
    SET_BY_OLD,
    WORDS,
    Answer,
    Page,
    by_series,
    check_users,
    ended,
    has,
)
from tests.harness.qemu import Configuration
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import wait_for
from tests.harness.web_programs import basic

OLD = first_release.VERSION
OVER_THE_END, OF_OLD, OF_THE_START, OF_NEW, OF_OLD_AGAIN = 1, 2, 3, 4, 5
"""Series of frames, by when they are sent."""


class Used:
    """A device in the hands of its user."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        self.device = lab.device
        self.page = Page(lab.machine.forward(443))
        self.words = dict(WORDS)
        wait_for(self._page_answers, "the page", 120, 1)

    def _page_answers(self) -> bool:
        try:
            return self.page.ask("/status", {})[0] == 401
        except OSError:
            return False

    def send(self, count: int, number: int) -> None:
        recorded = self.device.get("/ring")["packets"]
        self._lab.ports[0].send_all(series(count, size=1000, number=number))
        self.device.wait_recorded(recorded + count, 120)

    def content(self, job: Answer) -> dict[int, list[Packet]]:
        return by_series(self.device.fetch_checked(job, self._folder))

    def captured(self, **request: object) -> Answer:
        return self.device.wait_job(self.device.trigger(**request)["id"], 180)

    def pressed(self, key: str) -> Answer:
        before = self.device.last_job()
        self._lab.machine.presenter.press(key)
        (job,) = self.device.wait_jobs(1, 120, after=before)
        return job

    def jobs(self) -> dict[int, tuple[Any, ...]]:
        return ended(self.device.jobs())

    def users(self) -> bytes:
        return self._lab.machine.pull("/data/web/users.json")

    def in_file(self) -> Answer:
        """The settings as they are kept."""
        found: Answer = json.loads(self._lab.machine.pull("/data/settings.json"))
        return found

    def update(self, bundle: Path) -> None:
        """By a file that the user has."""
        admin = basic("admin", self.words["admin"])
        self.page.put(f"/firmware/files/{bundle.name}", admin, bundle)
        updating.follow(self.device, "/firmware/install", {"name": bundle.name})

    def start(self, version: str, slot: str, *, older: bool = False) -> None:
        assert updating.activate(self.device, slot, older=older) == version
        updating.wait_confirmed(self.device, version, slot)
        self.device.wait_ready()
        wait_for(lambda: self.device.status()["presenters"], "the presenter", 60, 1)
        check_users(self.page, self.words)


@pytest.fixture
def used(start_lab: StartLab, tmp_path: Path) -> Used:
    """A new device of 0.1.0."""
    lab = start_lab(boot=True, configuration=Configuration(image=first_release.image()))
    return Used(lab, tmp_path)


@pytest.mark.long
@pytest.mark.spec("U1", "U2", "U7", "R1", "T3", "X3")
@pytest.mark.timeout(7200)
def test_nothing_is_lost_on_the_way_from_0_1_0_and_back(used: Used, tmp_path: Path) -> None:
    bundle, new = BundleMaker().shipped(), image_under_test.VERSION
    device = used.device
    sftp = SftpServer(tmp_path / "sftp")
    used.page.make_users()
    device.set(SET_BY_OLD)
    device.post("/network/confirm")
    sftp.authorize(device.get("/export")["public_key"])
    device.plug_presenter()
    used.send(60_000, OVER_THE_END)
    used.send(2_000, OF_OLD)
    kept = used.captured(before_s=600)
    recorded = used.content(kept)
    assert len(recorded[OVER_THE_END]) < 60_000, "the ring was not full"
    assert len(recorded[OF_OLD]) == 2_000
    pressed = used.pressed("next")
    where = {"host": "10.0.2.2", "port": sftp.port, "username": sftp.user, "authentication": "key"}
    pinned = {"host_key": sftp.fingerprint, "directory": sftp.start_directory}
    device.set({"export": {"enabled": True, **where, **pinned}})
    queued = [used.pressed("prev"), used.captured(before_s=1)]
    contents = {job["file"]: device.fetch(job, tmp_path).read_bytes() for job in queued}
    used.update(bundle)
    used.send(200, OF_THE_START)
    waits = device.trigger(before_s=30, after_s=90)
    jobs, users = used.jobs(), used.users()
    assert {job["id"] for job in (kept, pressed, *queued)} == jobs.keys()

    used.start(new, "slot-b")
    assert has(device.get("/settings"), SET_BY_OLD)
    assert used.users() == users
    spans = device.wait_job(waits["id"], 180)
    assert jobs.items() <= used.jobs().items()
    assert len(used.content(spans)[OF_THE_START]) == 200
    assert "not running" in spans["message"]
    with sftp:
        device.post("/export/now")
        wait_for(lambda: spans["file"] in sftp.files(), "the captures on the server", 180, 1)
        wait_for(lambda: not device.get("/export")["queue"], "an empty queue", 180, 1)
    assert sftp.files() == sorted([*contents, spans["file"]])
    assert {name: (sftp.root / name).read_bytes() for name in contents} == contents
    device.set({"export": {"enabled": False}})
    again = {"time": kept["press_time"], "before_s": 600, "after_s": 0, "filter": ""}
    read = used.content(used.captured(**again))
    assert read[OF_OLD] == recorded[OF_OLD]
    rest = read[OVER_THE_END]  # what came in since has overwritten the beginning
    assert rest == recorded[OVER_THE_END][-len(rest) :]
    device.set(SET_BY_NEW)
    collector = {"name": "collector", "role": "viewer"}
    status, token = used.page.ask("/tokens", basic("admin", used.words["admin"]), collector)
    assert status == 201
    used.send(300, OF_NEW)
    by_rows = used.pressed("next")
    assert [row["name"] for row in by_rows["rows"]] == ["All", "Left"]
    written, jobs = used.in_file(), used.jobs()

    used.start(OLD, "slot-a", older=True)
    assert has(device.get("/settings"), SET_BY_OLD)
    assert jobs.items() <= used.jobs().items()
    used.send(300, OF_OLD_AGAIN)
    whole = used.content(used.captured(before_s=7200))
    assert whole[OF_OLD] == recorded[OF_OLD]
    counts = {number: len(whole[number]) for number in (OF_THE_START, OF_NEW, OF_OLD_AGAIN)}
    assert counts == {OF_THE_START: 200, OF_NEW: 300, OF_OLD_AGAIN: 300}
    device.set({"trigger": {"before_s": 44}})
    used.page.log_in("admin", used.words["admin"])
    used.words["carl"] = "the latecomer's word"
    used.page.add_user("carl", "viewer", used.words["carl"])
    jobs = used.jobs()

    used.start(new, "slot-b")
    changed = {"trigger": {"before_s": 44}}
    assert used.in_file() == merged(written, changed)
    assert has(device.get("/settings"), merged(SET_BY_NEW, changed))
    assert used.page.ask("/status", {"Authorization": f"Bearer {token['token']}"})[0] == 200
    assert jobs.items() <= used.jobs().items()
    assert device.get(f"/jobs/{by_rows['id']}") == by_rows
    assert used.content(used.captured(**again))[OF_OLD] == recorded[OF_OLD]
    assert [row["name"] for row in used.pressed("next")["rows"]] == ["All", "Left"]
