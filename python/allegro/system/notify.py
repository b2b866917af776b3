"""Tells systemd how a service is: the protocol of sd_notify(3), a datagram to the socket in NOTIFY_SOCKET."""

import os
import socket

_PATS_PER_LIMIT = 4


def notify(message: str) -> bool:
    """Sends e.g. "READY=1" or "STATUS=recording"; False if nobody listens or it could not be sent.

    Never raises: a service works the same without systemd.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
            connection.sendto(message.encode(), address)
    except OSError:
        return False
    return True


def alive() -> bool:
    """Tells systemd that this service works (WatchdogSec=). Only what does the work may say so."""
    return notify("WATCHDOG=1")


def alive_every_s() -> float | None:
    """How often `alive` is to be told: a quarter of the limit, so that one late word does no harm.

    None if systemd does not watch this process (sd_watchdog_enabled(3)).
    """
    limit, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not limit.isdecimal() or int(limit) == 0 or (process and process != str(os.getpid())):
        return None
    return int(limit) / 1e6 / _PATS_PER_LIMIT
