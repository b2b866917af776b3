"""A steady stream of numbered frames into a port."""

import contextlib
import threading
import time

from tests.harness.frames import udp_frame
from tests.harness.ports import FramePort


class FrameStream:
    """Sends frames 0, 1, 2, … of a series at a steady rate until the end of its `with` block.

    `sent` counts them; it is final after the block. `moments` has the time of each (time.monotonic()) when it
    had been handed over.
    """

    def __init__(self, port: FramePort, series: int, rate: float = 50.0, size: int = 128) -> None:
        """`rate` in frames per second."""
        self.port = port
        self.series = series
        self.sent = 0
        self.moments: list[float] = []
        self._interval = 1 / rate
        self._size = size
        self._stop = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._send, name=f"stream-{series}", daemon=True)

    def _send(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                self.port.send(udp_frame(self.sent, size=self._size, series=self.series))
            except OSError as error:  # the machine has gone; raised by stop()
                self._error = error
                return
            self.moments.append(time.monotonic())
            self.sent += 1
            due = max(due + self._interval, time.monotonic() - 1.0)
            self._stop.wait(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        """End the stream. Raises OSError when sending had failed before."""
        self._stop.set()
        self._thread.join(10)
        if self._error is not None:
            raise self._error

    def abandon(self) -> int:
        """End the stream because the machine is gone; returns how many frames were sent."""
        self._stop.set()
        self._thread.join(10)
        self._error = None
        return self.sent

    def __enter__(self) -> "FrameStream":
        """Begin to send."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
            self.stop()
