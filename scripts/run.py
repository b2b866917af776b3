"""Start the device in a virtual machine and stay (`make run`).

The serial console is here, the API on a local port, and `make press` presses keys of the presenter.
"""

import argparse
import contextlib
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from scripts.bench import HOST_FROM_GUEST, Bench, Progress, require_host, run_main, set_up
from tests.harness.agent import injection
from tests.harness.bench_errors import BenchError
from tests.harness.presenter import KEY_USAGES
from tests.harness.qemu import RUN_DIRECTORY, Configuration
from tests.harness.topology import SERVER_ADDRESS

DIRECTORY = RUN_DIRECTORY / "machine"
CONTROL = (
    RUN_DIRECTORY / "control"
)  # holds the path of the control socket (a socket's own path must be short)
_GUEST_API_PORT = 8080
_GUEST_PAGE_PORT = 443

# Developer's conveniences of this run only; the image has neither. The unit names are the bench's own.
_API_SOCKET = f"""\
[Unit]
Description=API of the device for the developer's host
[Socket]
ListenStream={_GUEST_API_PORT}
"""
_API_SERVICE = """\
[Unit]
Requires=bench-api.socket
[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd /run/allegro/api.sock
"""
# The shell has the serial port; the device's console stays on the monitor.
_SHELL = """\
[Unit]
Description=Root shell on the serial console for the developer
Conflicts=serial-getty@ttyS0.service
After=serial-getty@ttyS0.service
[Service]
Environment=HOME=/root TERM=linux
WorkingDirectory=/
ExecStart=/bin/bash -il
StandardInput=tty-force
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
Restart=always
"""


_CONSOLE = """\
[Service]
ExecStart=
ExecStart=/usr/bin/python3 -I -m allegro.console tty1
"""


def configuration(presenter: Literal["emulated", "host"], api_port: int, page_port: int) -> Configuration:
    """The machine of this run."""
    return Configuration(
        presenter=presenter,
        forwards=((api_port, _GUEST_API_PORT), (page_port, _GUEST_PAGE_PORT)),
        injection=injection(
            drop_ins={"allegro-console.service": _CONSOLE},
            units={"bench-api.socket": _API_SOCKET, "bench-shell.service": _SHELL},
            files={"systemd.extra-unit.bench-api.service": _API_SERVICE},
        ),
    )


def require_receiver() -> None:
    """Raise BenchError unless a receiver of an R400 is plugged into this machine."""
    for device in Path("/sys/bus/usb/devices").glob("*"):
        with contextlib.suppress(OSError):
            ids = [(device / name).read_text().strip() for name in ("idVendor", "idProduct")]
            if ids == ["046d", "c52d"]:
                return
    raise BenchError(
        "No Logitech R400 receiver (USB 046d:c52d) is plugged into this machine. "
        "Remedy: plug it in and start again, or leave out PRESENTER=host for the emulated one."
    )


def require_free(port: int) -> None:
    """Raise BenchError if a TCP port of the loopback is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BenchError(
                f"Port {port} of this machine is taken. Remedy: free it, or choose others: scripts.run --help"
            ) from error


def press(bench: Bench, key: str) -> str:
    """Press a key of the emulated presenter, plugged in first if need be; "plug", "unplug" do just that."""
    presenter = bench.machine.presenter
    if bench.machine.configuration.presenter != "emulated":
        return "this run uses a real presenter: press its key"
    try:
        if key == "unplug":
            presenter.unplug()
            return "unplugged"
        if key not in (*KEY_USAGES, "plug"):
            return f"there is no key {key!r}: {', '.join(KEY_USAGES)}, plug, unplug"
        if not presenter.plugged:
            bench.device.plug_presenter()
        if key == "plug":
            return "plugged in"
        presenter.press(key)
    except BenchError as error:
        return str(error)
    return f"pressed {key}"


@contextlib.contextmanager
def control_socket(bench: Bench) -> Iterator[None]:
    """Serve `make press` on a unix socket, one line per request, as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="allegro-run-") as directory:
        path = Path(directory) / "control"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(str(path))
            server.listen()
            CONTROL.write_text(str(path))

            def serve() -> None:
                while True:
                    try:
                        connection, _ = server.accept()
                    except OSError:
                        return
                    with connection, connection.makefile("rw") as stream, contextlib.suppress(OSError):
                        print(press(bench, stream.readline().strip()), file=stream, flush=True)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            try:
                yield
            finally:
                CONTROL.unlink(missing_ok=True)
                server.shutdown(socket.SHUT_RDWR)


def introduce(bench: Bench, say: Progress, api_port: int, page_port: int) -> None:
    """Wait until the device is ready, set it up, and say what can be done."""
    try:
        status = bench.device.wait_ready()
        bench.configure_export()
    except BenchError as error:
        say(f"{error}\r")
        return
    topology, sftp = bench.topology, bench.sftp
    client, server = topology.client.name, topology.server.name
    lines = [
        f"{status['name']} is ready.",
        f"  page:       https://127.0.0.1:{page_port}/ (admin, allegro)",
        f"  API:        curl http://127.0.0.1:{api_port}/api/status",
        "  presenter:  make press KEY=next   (prev, play, black, plug, unplug)",
        f"  client:     sudo ip netns exec {client} ping {SERVER_ADDRESS}   (server: {server})",
        f"  uploads to: {sftp.user}@{HOST_FROM_GUEST}:{sftp.port}, files in {sftp.root}",
        "  this is the serial console with a root shell; Ctrl-A X switches off, Ctrl-A C is QEMU's monitor",
    ]
    print("\r\n" + "\r\n".join(lines) + "\r", flush=True)


def main() -> None:
    """Read the command line and run until the machine is switched off."""
    parser = argparse.ArgumentParser(prog="run", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--presenter", choices=("emulated", "host"), default="emulated")
    parser.add_argument(
        "--api-port", type=int, default=8080, help="TCP port on 127.0.0.1 for the device's API"
    )
    parser.add_argument(
        "--page-port", type=int, default=8443, help="TCP port on 127.0.0.1 for the device's page"
    )
    options = parser.parse_args()
    require_host()
    if options.presenter == "host":
        require_receiver()
    require_free(options.api_port)
    require_free(options.page_port)
    RUN_DIRECTORY.mkdir(parents=True, exist_ok=True)
    say = Progress()
    machine = configuration(options.presenter, options.api_port, options.page_port)
    terminal = os.fdopen(1, "wb", closefd=False)
    with set_up(DIRECTORY, machine, say, console=terminal) as bench, control_socket(bench):
        threading.Thread(
            target=introduce, args=(bench, say, options.api_port, options.page_port), daemon=True
        ).start()
        bench.machine.wait_ended()


if __name__ == "__main__":
    sys.exit(run_main(main, DIRECTORY / "logs"))
