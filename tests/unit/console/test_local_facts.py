import ipaddress
import socket
import struct
import time
from pathlib import Path

from allegro.capture import status
from allegro.capture.status import RecorderStatus
from allegro.console import local_facts
from allegro.console.screen import Interface
from allegro.paths import Paths


def message(
    family: int, prefix: int, index: int, *attributes: tuple[int, bytes], flags: int = 0, scope: int = 0
) -> bytes:
    """RTM_NEWADDR as in rtnetlink(7)."""
    body = struct.pack("=BBBBI", family, prefix, flags, scope, index)
    for kind, value in attributes:
        body += struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body


def test_addresses_are_read_from_the_kernels_answer() -> None:
    first = socket.inet_aton("192.168.1.20")
    peer = socket.inet_aton("10.0.0.1")
    six = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    reply = (
        message(socket.AF_INET, 24, 2, (1, peer), (2, first), (3, b"mgmt0\0"))
        + message(socket.AF_INET6, 64, 2, (1, six))
        + message(socket.AF_INET6, 64, 2, (1, six), scope=253)
        + message(socket.AF_INET6, 64, 3, (1, six), flags=0x40)
    )
    assert local_facts.parse_addresses(reply) == (False, [(2, "192.168.1.20/24"), (2, "2001:db8::1/64")])
    assert local_facts.parse_addresses(struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)) == (True, [])


def test_a_broken_answer_ends_the_reading() -> None:
    assert local_facts.parse_addresses(struct.pack("=IHHII", 3, 20, 2, 1, 0)) == (True, [])


def test_addresses_of_this_machine_are_addresses() -> None:
    for name, found in local_facts.addresses().items():
        assert name in [each for _, each in socket.if_nameindex()]
        assert all(ipaddress.ip_interface(address) for address in found)


def test_bridges_and_loopback_are_no_interfaces_to_show(tmp_path: Path) -> None:
    for name, state in (("lo", "unknown"), ("mgmt0", "up"), ("port1", "down"), ("link1", "up")):
        (tmp_path / "class/net" / name).mkdir(parents=True)
        (tmp_path / "class/net" / name / "operstate").write_text(f"{state}\n")
    (tmp_path / "class/net/link1/bridge").mkdir()
    assert local_facts.interfaces(tmp_path) == (Interface("mgmt0", True), Interface("port1", False))


def test_a_recorder_that_has_been_silent_for_long_does_not_record(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "run")
    assert local_facts.recorder_state(paths) == ""
    paths.recorder_status.parent.mkdir(parents=True)
    status.write(RecorderStatus(time_ns=time.time_ns(), state="recording"), paths.recorder_status)
    assert local_facts.recorder_state(paths) == "recording"
    status.write(
        RecorderStatus(time_ns=time.time_ns() - 10 * 10**9, state="recording"), paths.recorder_status
    )
    assert local_facts.recorder_state(paths) == ""


def test_system_id(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert local_facts.system_id(paths) == ""
    paths.state.mkdir()
    paths.system_id.write_text("5764fb6b\n")
    assert local_facts.system_id(paths) == "5764fb6b"
