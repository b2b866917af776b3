"""The recorder without ports: how it gets along with its ring. Everything else needs a kernel: tests/host."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.capture import config, status
from allegro.capture.config import RecorderConfig
from allegro.capture.recorder.loop import Recorder
from allegro.capture.ring.writer import RingUnavailable, RingWriter
from allegro.capture.status import RecorderStatus
from tests.harness.waiting import wait_for
from tests.unit.capture.ring.writing import SMALLEST

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[RecorderConfig]:
    """Of a recorder that finds no port; afterwards the signals are as they were."""
    handlers = [signal.getsignal(number) for number in SIGNALS]
    made = RecorderConfig(tmp_path / "ring", SMALLEST, tmp_path / "status.json", port_pattern="no such port")
    config.dump(made, tmp_path / "recorder.json")
    yield made
    signal.set_wakeup_fd(-1)
    for number, handler in zip(SIGNALS, handlers, strict=True):
        signal.signal(number, handler)


def told(settings: RecorderConfig) -> RecorderStatus:
    try:
        return status.from_json(settings.status_file.read_bytes())
    except FileNotFoundError:
        return RecorderStatus()


def test_it_ends_with_an_error_when_a_part_of_it_has_died(
    settings: RecorderConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(RingWriter, "_upkeep", lambda self: None)
    assert Recorder(tmp_path / "recorder.json").run() == 1
    assert "has to start anew" in caplog.text


def test_a_size_that_is_refused_while_the_ring_opens_leaves_the_ring_as_it_is(
    settings: RecorderConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening = threading.Event()
    create = RingWriter._create_segment

    def create_later(writer: RingWriter) -> None:
        opening.wait(20)
        create(writer)

    def refuse(writer: RingWriter, size: int) -> None:
        if size != SMALLEST:
            raise RingUnavailable("There is no room for that.")

    seen: list[RecorderStatus] = []

    def operate() -> None:
        try:
            wait_for(lambda: recorder._opening, "the start", 20, 0.01)
            config.dump(replace(settings, ring_size=4 * SMALLEST), tmp_path / "recorder.json")
            recorder._on_signal(signal.SIGHUP, None)
            wait_for(lambda: not recorder._reload and recorder._config.ring_size > SMALLEST, "SIGHUP", 20)
            opening.set()
            wait_for(lambda: told(settings).state == status.RECORDING, "a ring", 20)
            seen.append(told(settings))
        finally:
            opening.set()
            recorder._on_signal(signal.SIGTERM, None)

    monkeypatch.setattr(RingWriter, "_create_segment", create_later)
    monkeypatch.setattr(RingWriter, "resize", refuse)
    recorder = Recorder(tmp_path / "recorder.json")
    operator = threading.Thread(target=operate)
    operator.start()
    assert recorder.run() == 0
    operator.join()
    (report,) = seen
    assert "not taken over: There is no room for that." in report.message
    assert "being opened" not in report.message
    assert report.ring is not None
    assert report.ring.target == SMALLEST
