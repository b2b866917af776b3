"""What the export says of itself: plain data."""

from dataclasses import dataclass

from allegro.export.queue import Waiting


@dataclass(frozen=True)
class Running:
    """The file that is being sent: step as in `allegro.export.way.Step`, `done` and `size` in bytes."""

    name: str
    step: str
    done: int
    size: int


@dataclass(frozen=True)
class Run:
    """An upload run; times in ns since 1970, `ended_ns` 0 while it runs, `error` the last one."""

    started_ns: int
    ended_ns: int = 0
    sent: int = 0
    failed: int = 0
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class ExportStatus:
    """`state`: "off", "idle" (nothing to do now) or "uploading". `next_run_ns`: next daily run, 0 = none."""

    state: str
    queue: tuple[Waiting, ...]
    running: Running | None
    last_run: Run | None
    next_run_ns: int
    problem: str


@dataclass(frozen=True)
class TestResult:
    """`accepted`: the shown host key is the pinned one, and `file` (path on the server) has been written.

    `fingerprint` is that of the shown key, `host_key_type` its type; `pinned` is that of the pinned one, and
    empty if there is none.
    """

    __test__ = False  # not a test case for pytest

    fingerprint: str
    host_key_type: str
    pinned: str
    accepted: bool
    file: str
    message: str
