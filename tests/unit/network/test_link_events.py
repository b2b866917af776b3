import threading
import time

from allegro.network.link_events import LinkEvents


def test_a_wait_ends_when_somebody_wakes_it() -> None:
    events = LinkEvents()
    try:
        threading.Timer(0.05, events.wake).start()
        events.wait(None)
        events.wake()  # before the wait
        events.wake()
        events.wait(None)
    finally:
        events.close()


def test_a_wait_ends_when_its_time_is_over() -> None:
    events = LinkEvents()
    try:
        before = time.monotonic()
        events.wait(0.05)
        assert time.monotonic() - before >= 0.04
    finally:
        events.close()
