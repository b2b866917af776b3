"""What the device does becomes an event."""

from dataclasses import replace
from pathlib import Path

import pytest

from allegro.events.event_list import EventList
from allegro.export.chosen_way import server_name
from allegro.firmware.update import FirmwareService
from allegro.settings.model import Export
from allegro.supervisor.announcing import Announcer
from allegro.trigger.jobs import JobStore
from allegro.trigger.press import Press
from allegro.trigger.windows import Span

pytestmark = pytest.mark.spec("X7")


class Updates(FirmwareService):
    """Finds this version."""

    def __init__(self, newer: str) -> None:
        self.found = newer

    def check(self) -> str:
        return self.found


def told(events: EventList) -> list[tuple[str, str, str]]:
    return [(each.kind, each.text, each.source) for each in events.all()]


def test_newer_firmware_is_announced_once_also_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    events = EventList(path)
    for newer in ("", "1.2.0", "1.2.0"):
        Announcer(events, lambda: "").look_for_firmware(Updates(newer))
    events.write()
    again = EventList(path)
    for newer in ("1.2.0", "1.3.0"):
        Announcer(again, lambda: "").look_for_firmware(Updates(newer))
    assert told(again) == [
        ("release", "Firmware 1.2.0 is on the update server", "firmware"),
        ("release", "Firmware 1.3.0 is on the update server", "firmware"),
    ]


def test_captures_and_uploads_are_told_by_name(tmp_path: Path) -> None:
    events = EventList(tmp_path / "events.json")
    announcer = Announcer(events, lambda: "files.example")
    jobs = JobStore(tmp_path / "allegro.sqlite")
    press = Press(source="presenter", key="next", device="Logitech R400", time_ns=1_795_271_405_000_000_000)
    (job,) = jobs.accept([press], Span(60, 0), now_ns=1)
    announcer.complete(replace(job, file="a.pcapng", state="complete"))
    announcer.complete(replace(job, state="complete"))
    announcer.complete(replace(job, state="complete", message="3 of 100 rows have a file."))
    announcer.failed(replace(job, state="failed", message="The storage device is full."))
    announcer.sent("a.pcapng")
    announcer.sent("a.pcap.txt")
    jobs.close()
    assert told(events) == [
        ("capture", "The capture a.pcapng is complete", "Logitech R400"),
        ("capture", "The capture of 2026-11-21 14:30:05 UTC is complete", "Logitech R400"),
        (
            "capture",
            "The capture of 2026-11-21 14:30:05 UTC is complete: 3 of 100 rows have a file.",
            "Logitech R400",
        ),
        (
            "capture-failed",
            "The capture of 2026-11-21 14:30:05 UTC failed: The storage device is full.",
            "Logitech R400",
        ),
        ("upload", "The capture a.pcapng is on the server files.example", "export"),
        ("upload", "The text a.pcap.txt is on the server files.example", "export"),
    ]


@pytest.mark.parametrize(
    ("protocol", "url", "name"),
    [
        ("sftp", "https://cloud.example:8443/dav", "files.example"),
        ("webdav", "https://cloud.example:8443/dav", "cloud.example"),
        ("webdav", "https://[2001:db8::7]/dav", "2001:db8::7"),
        ("s3", "https://s3.example/captures", "s3.example"),
        ("webdav", "", ""),
    ],
)
def test_the_server_is_the_one_of_the_protocol(protocol: str, url: str, name: str) -> None:
    export = {"protocol": protocol, "host": "files.example", "url": url}
    assert server_name(Export.model_validate(export)) == name
