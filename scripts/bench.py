"""What `make demo` and `make run` share: the device between a client and a server, and an SFTP server."""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO

from tests.harness.bench_errors import BenchError
from tests.harness.device import Device
from tests.harness.qemu import Configuration, SavedState, VirtualMachine, keep_diagnosis
from tests.harness.sftp_server import SftpServer
from tests.harness.topology import Topology

_PROGRAMS = {  # program -> Debian package
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "ip": "iproute2",
    "ping": "iputils-ping",
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "dnsmasq": "dnsmasq-base",
    "openssl": "openssl",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "setpriv": "util-linux",
    "tshark": "tshark",
}
HOST_FROM_GUEST = "10.0.2.2"  # the host's loopback, as QEMU's user network shows it to the guest


class Progress:
    """Lines with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print one line."""
        print(f"[{time.monotonic() - self._start:6.1f} s] {text}", flush=True)

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start


def require_host() -> None:
    """Raise BenchError with a remedy if this machine cannot run the bench."""
    if os.geteuid() != 0:
        raise BenchError("Network namespaces need root. Remedy: run it with sudo.")
    os.environ["PATH"] = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = {package for program, package in _PROGRAMS.items() if not shutil.which(program)}
    if missing:
        raise BenchError(f"Missing packages: {', '.join(sorted(missing))}. Remedy: make host-packages")
    if not Path("/dev/net/tun").exists():
        raise BenchError("/dev/net/tun is missing. Remedy: load the kernel module: modprobe tun")


class Bench:
    """The running set-up."""

    def __init__(self, topology: Topology, sftp: SftpServer, machine: VirtualMachine) -> None:
        self.topology = topology
        self.sftp = sftp
        self.machine = machine
        self.device = Device(machine)

    def configure_export(self) -> str:
        """Let the device upload to the SFTP server, with its host key pinned; returns the fingerprint."""
        self.device.set(
            {
                "export": {
                    "enabled": True,
                    "host": HOST_FROM_GUEST,
                    "port": self.sftp.port,
                    "username": self.sftp.user,
                    "authentication": "password",
                    "password": self.sftp.password,
                    "directory": self.sftp.start_directory,
                }
            }
        )
        shown: str = self.device.post("/export/test")["fingerprint"]
        if shown != self.sftp.fingerprint:
            raise BenchError(f"the device saw the host key {shown}, the server has {self.sftp.fingerprint}")
        self.device.post("/export/host-key", {"fingerprint": shown})
        return shown


@contextlib.contextmanager
def set_up(
    directory: Path, start: Configuration | SavedState, say: Progress, console: IO[bytes] | None = None
) -> Iterator[Bench]:
    """Start servers and machine; everything is gone after the block but what lies in `directory`.

    The machine boots, or goes on from a saved state. On an exception the logs are copied to `directory`/logs.
    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    with contextlib.ExitStack() as opened:
        opened.callback(give_to_user, directory)
        say("Making a client and a server, each in a network namespace of its own")
        topology = opened.enter_context(Topology(directory / "network"))
        topology.start_servers()
        sftp = SftpServer(directory / "sftp")
        opened.callback(sftp.close)
        sftp.start()
        say(f"Servers run: DNS, HTTP, HTTPS; SFTP (OpenSSH) on port {sftp.port}")
        if isinstance(start, SavedState):
            machine = VirtualMachine(directory / "machine", ports=topology.ports, saved=start)
        else:
            machine = VirtualMachine(
                directory / "machine", replace(start, ports=2), topology.ports, console=console
            )
        opened.callback(machine.remove_disks)
        opened.callback(machine.close)
        opened.enter_context(keep_diagnosis(machine, directory / "logs"))
        machine.start()
        accelerator = machine.accelerator
        how = "Woken from its state after the start" if isinstance(start, SavedState) else "Switched on"
        say(f"{how}: QEMU, accelerator {accelerator.name} ({accelerator.reason})")
        yield Bench(topology, sftp, machine)


def give_to_user(directory: Path) -> None:
    """Give the files to the user behind sudo, so that no root is needed to read and delete them."""
    user, group = int(os.environ.get("SUDO_UID", 0)), int(os.environ.get("SUDO_GID", 0))
    for path in (directory, *directory.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            os.chown(path, user, group, follow_symlinks=False)


def run_main(main: Callable[[], None], logs: Path) -> int:
    """Run a main function; failures become plain words. Returns the exit code."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGHUP, terminate)
    try:
        main()
    except KeyboardInterrupt:
        print("\nStopped; everything is cleaned up.", file=sys.stderr)
        return 130
    except BenchError as error:
        print(f"\nIt did not work: {error}", file=sys.stderr)
        if logs.exists():
            print(f"Logs are in {logs}", file=sys.stderr)
        return 1
    return 0
