"""Word from the kernel about interfaces and addresses, in a namespace."""

import contextlib
import os
import subprocess
import sys

import pytest

from tests.harness.namespaces import Namespace

WATCH = """
import sys
from allegro.network.link_events import LinkEvents
events = LinkEvents()
for what in ("link", "address"):
    print("ready", flush=True)
    events.wait(None)
    print(what, flush=True)
"""


@pytest.mark.spec("N2")
def test_interfaces_and_addresses_end_a_wait() -> None:
    if os.geteuid() != 0:
        pytest.fail("the host tests need root: sudo make test")
    with contextlib.closing(Namespace("wifi-events")) as namespace:
        command = ["ip", "netns", "exec", namespace.name, sys.executable, "-c", WATCH]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            assert watcher.stdout.readline() == "ready\n"
            namespace.ip("link", "add", "here", "type", "veth", "peer", "name", "there")
            assert watcher.stdout.readline() == "link\n"
            assert watcher.stdout.readline() == "ready\n"
            namespace.ip("address", "add", "192.0.2.1/24", "dev", "here")
            assert watcher.stdout.readline() == "address\n"
