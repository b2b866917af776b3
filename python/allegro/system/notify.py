"""Tells systemd how a service is: the protocol of sd_notify(3), a datagram to the socket in NOTIFY_SOCKET."""

import os
import socket


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
