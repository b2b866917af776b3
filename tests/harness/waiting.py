"""Waiting for something that another process will do."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

from tests.harness.bench_errors import BenchTimeoutError

T = TypeVar("T")

PATIENCE = float(os.environ.get("PATIENCE") or 1)
"""All waiting for the device may take so many times longer: for machines that have much else to do."""

_LONGEST_PAUSE_S = 2.0


def wait_for(probe: Callable[[], T | None], what: str, timeout: float, interval: float = 0.1) -> T:
    """Call `probe` every `interval` seconds until it returns something true, and return that.

    A probe that takes longer is called less often, so that an emulated device comes to do something else.

    Raises BenchTimeoutError naming `what` after `timeout` seconds; the last answer is part of the message.
    """
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        began = time.monotonic()
        answer = probe()
        if answer:
            return answer
        now = time.monotonic()
        if now > deadline:
            raise BenchTimeoutError(f"{what}: not within {timeout:g} s (last answer: {answer!r})")
        time.sleep(max(interval, min(now - began, _LONGEST_PAUSE_S)))
