"""Runs inside the guest (see radios.py): a SOCKS 5 proxy that connects from another network namespace.

Listens where the bench reaches it, and looks names up and connects where somebody else is, such as a phone in
the device's WiFi: so a browser of the bench is that phone's. Standard library only; must not import anything
of the project.

Source: RFC 1928 (no authentication, CONNECT only).
"""

import contextlib
import ctypes
import os
import socket
import socketserver
import struct
import sys
import threading
from pathlib import Path
from typing import BinaryIO

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_VERSION = 5
_DONE, _UNREACHABLE = 0, 4
_IPV4, _NAME, _IPV6 = 1, 3, 4


def asked_for(stream: BinaryIO) -> tuple[str, int]:
    """Greets, and reads what a client wants to be connected to: name or address, and port."""
    _, methods = stream.read(2)
    stream.read(methods)
    stream.write(bytes([_VERSION, 0]))
    stream.flush()
    kind = stream.read(4)[3]
    if kind == _NAME:
        host = stream.read(stream.read(1)[0]).decode()
    else:
        family, length = {_IPV4: (socket.AF_INET, 4), _IPV6: (socket.AF_INET6, 16)}[kind]
        host = socket.inet_ntop(family, stream.read(length))
    return host, struct.unpack("!H", stream.read(2))[0]


def answer(code: int) -> bytes:
    """The address that it was connected from is of no use to anybody."""
    return bytes([_VERSION, code, 0, _IPV4, *bytes(6)])


def carry(source: socket.socket, sink: socket.socket) -> None:
    """Until the source says no more."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class Client(socketserver.StreamRequestHandler):
    """One connection of the browser."""

    wbufsize = -1

    def handle(self) -> None:
        """Connects it, and tells on standard output what was asked for."""
        host, port = asked_for(self.request.makefile("rwb"))
        print(f"{host}:{port}", flush=True)
        try:
            far = socket.create_connection((host, port), 60)
        except OSError:
            self.request.sendall(answer(_UNREACHABLE))
            return
        with far:
            far.settimeout(None)
            self.request.sendall(answer(_DONE))
            back = threading.Thread(target=carry, args=(far, self.request), daemon=True)
            back.start()
            carry(self.request, far)
            back.join()


class Proxy(socketserver.ThreadingTCPServer):
    """Where the bench reaches it."""

    daemon_threads = True


def enter(namespace: str) -> None:
    """This thread, and those that it starts, are in the namespace from now on (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    with (Path("/run/netns") / namespace).open() as other:
        if libc.setns(other.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace)


def main() -> None:
    """Arguments: port to listen at, name of the namespace to connect from (ip-netns(8))."""
    port, namespace = sys.argv[1:]
    with Proxy(("", int(port)), Client) as proxy:
        enter(namespace)
        proxy.serve_forever()


main()
