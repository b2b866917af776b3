"""What the device did, as events: so it stands in the list, and people can be told."""

from collections.abc import Callable

from allegro.events.event_list import EventList
from allegro.firmware.update import FirmwareService
from allegro.trigger.job import Job
from allegro.trigger.publish import TEXT_SUFFIX
from allegro.words import moment


class Announcer:
    """`server` returns the name of the server that captures are sent to."""

    def __init__(self, events: EventList, server: Callable[[], str]) -> None:
        self._events = events
        self._server = server

    def complete(self, job: Job) -> None:
        """A capture has its file. One with rows of the filter table has files of theirs, none of its own."""
        ends = "ends at its size limit" if job.limited else "is complete"
        text = f"The capture {job.file or f'of {moment(job.press_ns)}'} {ends}"
        if job.message and not job.file:
            text += f": {job.message}"
        self._events.note("capture", text, source=job.device or job.source)

    def failed(self, job: Job) -> None:
        """An accepted press has led to no file."""
        text = f"The capture of {moment(job.press_ns)} failed: {job.message}"
        self._events.note("capture-failed", text, source=job.device or job.source)

    def sent(self, name: str) -> None:
        """A capture, or the text beside one, has arrived on the server."""
        what = "text" if name.endswith(TEXT_SUFFIX) else "capture"
        self._events.note("upload", f"The {what} {name} is on the server {self._server()}", source="export")

    def look_for_firmware(self, updates: FirmwareService) -> None:
        """The daily look; a newer version is announced once, also over restarts. Raises as `check` does."""
        newer = updates.check()
        text = f"Firmware {newer} is on the update server"
        if newer and not any((each.kind, each.text) == ("release", text) for each in self._events.all()):
            self._events.note("release", text, source="firmware")
