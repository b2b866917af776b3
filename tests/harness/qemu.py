"""The device image as a virtual machine.

The image file is never written: each machine has its own qcow2 overlay, which survives a power cut (QEMU is
killed) and is thrown away with the machine's directory. A cut loses what the guest had not yet written to the
disk (its page cache); what it had written but not flushed survives in the host's cache, so a missing flush of
the disk's own cache does not show. `tests.harness.powercut` makes cuts that lose that, too.

As the host's cache is enough, a guest's flush does not flush the host's disk ("cache=unsafe": QEMU hands over
what it holds itself all the same).
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal

from tests.harness import starts, write_log
from tests.harness.accelerator import QEMU, Accelerator, choose, qemu_version
from tests.harness.agent import PORT_NAME, GuestAgent, Injection, Result, injection
from tests.harness.bench_errors import BenchError, BenchTimeoutError, GuestResetError
from tests.harness.ports import IdlePort, Port
from tests.harness.presenter import Presenter
from tests.harness.qmp import QmpClient, QmpError
from tests.harness.waiting import PATIENCE
from tests.harness.watch import CRASHED_RESUMED, LIMITS, TRIES, Limits, Watch

REPOSITORY = Path(__file__).resolve().parents[2]
# Another image (such as one built by Buildroot) can be put on the bench by the environment.
IMAGE = Path(os.environ.get("ALLEGRO_IMAGE") or REPOSITORY / "build" / "vm" / "allegro.img")
RUN_DIRECTORY = REPOSITORY / "build" / "run"

_FIRST_PORT_SLOT = 0x10  # PCI slot of port 1; fixed, so that a saved state fits and port order is bus order
_OVMF = (  # code, variables: Debian 12 and 13, Ubuntu
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
)


def _processors() -> int:
    # Side by side, each machine gets one: it is emulated with a sixth less work than two, and no second
    # processor sees the kernel while it patches itself, which QEMU gets wrong now and then.
    return 1 if "PYTEST_XDIST_WORKER" in os.environ else 2


@dataclass(frozen=True)
class Configuration:
    """What the machine is made of. Two machines with equal configurations can share a saved state."""

    image: Path = IMAGE
    firmware: Literal["bios", "uefi"] = "bios"
    memory_mib: int = 1024
    processors: int = field(default_factory=_processors)
    ports: int = 4
    nic_model: str = "e1000"
    forwards: tuple[tuple[int, int], ...] = ()  # (TCP port on the host's loopback, TCP port in the guest)
    system_disk_mib: int = 0  # larger than the image, as after flashing to a real disk; 0: as the image
    stick: bool = False  # the image is on a USB stick, not on a built-in disk
    extra_disks: tuple[tuple[str, int], ...] = ()  # (serial number, size in MiB): empty disks
    presenter: Literal["emulated", "host", "none"] = "emulated"
    injection: Injection = field(default_factory=injection)
    extra_arguments: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Same text = a saved state made with the one can be started with the other."""
        status = self.image.stat()
        parts: list[object] = [
            {**asdict(replace(self, forwards=())), "image": str(self.image)},
            [status.st_size, status.st_mtime_ns],
            qemu_version(),
            *(Path(__file__).with_name(name).read_text() for name in ("qemu.py", "accelerator.py")),
        ]
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class SavedState:
    """A running guest frozen on disk: memory and devices, and the overlay it had at that moment."""

    configuration: Configuration
    memory: Path
    overlay: Path
    variables: Path | None  # UEFI variable store
    situation: str = "ready"  # what it has been brought to, in a word

    @classmethod
    def at(cls, directory: Path, configuration: Configuration) -> "SavedState":
        """Return the state that lies (or will lie) in `directory`."""
        variables = directory / "uefi-variables.fd" if configuration.firmware == "uefi" else None
        return cls(configuration, directory / "memory.state", directory / "system.qcow2", variables)

    @property
    def complete(self) -> bool:
        """Whether it is there; the memory file appears last."""
        return self.memory.exists()


class VirtualMachine:
    """One machine: start it, use it, cut its power, start it again."""

    def __init__(
        self,
        directory: Path,
        configuration: Configuration | None = None,
        ports: Sequence[Port] = (),
        *,
        saved: SavedState | None = None,
        management: Port | None = None,
        sound: bool = False,
        console: IO[bytes] | None = None,
        accelerator: Accelerator | None = None,
        write_log: Path | None = None,
        origin: str = "power-on",
        limits: Limits | None = LIMITS,
    ) -> None:
        """Prepare a machine in `directory` (made if missing); nothing runs yet.

        `ports` are what the measuring ports are plugged into, port 1 first; the others are idle.
        `saved` starts from a saved state instead of booting. `management` is what the management port is
        plugged into, instead of QEMU's own network with DHCP server and forwarded ports. `sound`: a USB sound
        device, kept as WAV.
        `console`: this process's terminal, if it is to be the serial console; its keys go to the guest.
        `write_log`: a file that gets every write to the system disk (see tests.harness.write_log).
        `origin`: what its first start is counted as, when it boots (see tests.harness.starts).
        `limits`: when a start that hangs is begun anew (see tests.harness.watch); None: never. Nor is it with
        `console`, as people may stay in GRUB's menu.
        """
        if saved is not None and configuration is not None:
            raise BenchError("a saved state brings its own configuration")
        self.configuration = saved.configuration if saved else configuration or Configuration()
        if len(ports) > self.configuration.ports:
            raise BenchError(f"{len(ports)} cables for {self.configuration.ports} measuring ports")
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.ports = [*ports, *(IdlePort() for _ in range(self.configuration.ports - len(ports)))]
        self.management = management
        self.saved = saved
        self.sound_file = directory / "sound.wav" if sound else None
        self._console = console
        self._write_log = write_log
        self._origin = origin
        self._start: starts.Start | None = None
        self._limits = None if console else limits
        self._watch: Watch | None = None
        self._accelerator = accelerator
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: QmpClient | None = None
        self._agent: GuestAgent | None = None
        # Unix socket paths are limited to 107 bytes (unix(7)); a checkout can lie deep.
        self._sockets = Path(tempfile.mkdtemp(prefix="allegro-vm-"))
        self.presenter = Presenter(self._sockets / "presenter")
        self.starts = 0
        self.clock = "utc"
        """What its own clock says when it is switched on next: an ISO 8601 time, or utc for the host's."""
        self._marker = 0

    # -- starting and stopping

    @property
    def running(self) -> bool:
        """Whether QEMU runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def overlay(self) -> Path:
        """The machine's own disk file, a qcow2 overlay on the image."""
        return self.directory / "system.qcow2"

    @property
    def serial_log(self) -> Path:
        """Everything the serial console ever said; appended over restarts."""
        return self.directory / "serial.log"

    @property
    def accelerator(self) -> Accelerator:
        """What executes the guest's instructions."""
        if self._accelerator is None:
            self._accelerator = choose(self.configuration.image, RUN_DIRECTORY / "accelerator.json")
        return self._accelerator

    def start(self) -> None:
        """Switch on. The first start with a saved state continues from there, every other one boots.

        Raises BenchError with QEMU's words when it does not start.
        """
        if self.running:
            raise BenchError("the machine runs already")
        if not self.configuration.image.exists():
            raise BenchError(f"there is no image at {self.configuration.image}: make vm builds it")
        self._disconnect()  # from a guest that has switched itself off
        incoming = self.saved is not None and self.starts == 0
        self._start = starts.begin(
            f"saved state, {self.saved.situation}"
            if self.saved is not None and incoming
            else "power-on again"
            if self.starts
            else self._origin
        )
        for last in (*(False,) * (TRIES - 1), True):
            try:
                self._switch_on(self._start, incoming)
            except GuestResetError:
                # The emulator has crashed a guest that had just been resumed; it is nobody's yet: once more.
                if last or not incoming:
                    raise
                self._start.anew.append(CRASHED_RESUMED)
                self.cut_power()
                self.remove_disks()
            else:
                break
        self.starts += 1
        if self.sound_file is not None:
            self.qmp("device_add", driver="usb-audio", id="sound", audiodev="sound", bus="usb.0")

    def _switch_on(self, start: starts.Start, incoming: bool) -> None:
        self._make_disks()
        self._marker = self.serial_log.stat().st_size if self.serial_log.exists() else 0
        for name in ("qmp", "agent", "serial"):
            (self._sockets / name).unlink(missing_ok=True)
        arguments = self._arguments(incoming)
        cables = [*self.ports, *([self.management] if self.management else [])]
        descriptors = [fd for port in cables for fd in port.descriptors]
        with (self.directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                # QEMU must not outlive the bench, however the bench ends.
                ["setpriv", "--pdeathsig", "KILL", "--", *arguments],
                stdin=None if self._console else subprocess.DEVNULL,
                stdout=self._console or log,
                stderr=log,
                pass_fds=descriptors,
            )
        self._qmp = self._connect_qmp()
        self._agent = GuestAgent(self._sockets / "agent")
        if self._limits is not None:
            self._watch = Watch(
                self._process.pid, self._qmp, self._agent, self.serial_log, start, self._limits
            )
        if incoming:
            self._resume()

    def _resume(self) -> None:
        assert self.saved is not None
        # QEMU would announce the network cards of a guest that has moved: frames that the device never sent.
        self.qmp("migrate-set-parameters", announce_rounds=0)
        self.qmp("migrate-incoming", uri=f"exec:cat '{self.saved.memory}'")
        self._wait_status("migration", {"paused", "postmigrate", "prelaunch"})
        self.qmp("cont")
        assert self._agent is not None
        self._agent.set_clock()

    def _wait_status(self, what: str, wanted: set[str], timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout * PATIENCE
        while (status := self.qmp("query-status")["status"]) not in wanted:
            if time.monotonic() > deadline:
                raise BenchTimeoutError(f"{what}: QEMU is still {status} after {timeout:g} s")
            time.sleep(0.02)

    def _connect_qmp(self) -> QmpClient:
        deadline = time.monotonic() + 20 * PATIENCE
        while True:
            try:
                return QmpClient(self._sockets / "qmp", on_event=self._on_event)
            except OSError as error:
                if not self.running or time.monotonic() > deadline:
                    self.cut_power()
                    words = (self.directory / "qemu.log").read_text(errors="replace")[-2000:]
                    raise BenchError(f"QEMU did not start:\n{words}") from error
                time.sleep(0.02)

    def _on_event(self, name: str) -> None:
        if name == "RESET":
            for part in (self._agent, self._watch):
                if part is not None:
                    part.guest_reset()

    def _make_disks(self) -> None:
        if not self.overlay.exists():
            base, kind = (self.saved.overlay, "qcow2") if self.saved else (self.configuration.image, "raw")
            size = self.configuration.system_disk_mib
            larger = [f"{size}M"] if size else []
            _qemu_img(
                *("create", "-f", "qcow2", "-F", kind, "-b", str(base.resolve()), str(self.overlay)), *larger
            )
        for serial, size in self.configuration.extra_disks:
            path = self.directory / f"{serial}.qcow2"
            if not path.exists():
                if self.saved:
                    base = self.saved.overlay.with_name(path.name).resolve()
                    _qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(path))
                else:
                    _qemu_img("create", "-f", "qcow2", str(path), f"{size}M")
        variables = self.directory / "uefi-variables.fd"
        if self.configuration.firmware == "uefi" and not variables.exists():
            source = self.saved.variables if self.saved else _find_ovmf()[1]
            assert source is not None
            shutil.copyfile(source, variables)

    def _arguments(self, incoming: bool) -> list[str]:
        configuration = self.configuration
        sockets = self._sockets
        arguments = [
            *(QEMU, "-name", "allegro", "-machine", "q35", *self.accelerator.arguments),
            *("-smp", str(configuration.processors), "-m", str(configuration.memory_mib)),
            *("-nodefaults", "-no-user-config", "-display", "none", "-device", "VGA"),
            *("-rtc", f"base={self.clock}"),
            *("-qmp", f"unix:{sockets / 'qmp'},server=on,wait=off"),
        ]
        log = f"logfile={self.serial_log},logappend=on"
        console = (
            f"stdio,id=console,mux=on,signal=off,{log}"
            if self._console
            else f"socket,id=console,path={sockets / 'serial'},server=on,wait=off,{log}"
        )
        arguments += ["-chardev", console, "-serial", "chardev:console"]
        if self._console:
            arguments += ["-mon", "chardev=console,mode=readline"]
        arguments += [
            *("-device", "virtio-serial-pci,id=agent-bus,addr=0x04"),
            *("-chardev", f"socket,id=agent,path={sockets / 'agent'},server=on,wait=off"),
            *("-device", f"virtserialport,bus=agent-bus.0,chardev=agent,name={PORT_NAME}"),
        ]
        for number, text in enumerate(configuration.injection.strings()):
            # Through a file: one argument of a program is limited to 128 KiB, and all of them are in ps.
            path = self.directory / f"smbios-{number}.txt"
            path.write_text(text)
            arguments += ["-smbios", f"type=11,path={path}"]
        # The USB controller comes before the stick on it.
        arguments += self._usb_arguments() + self._disk_arguments() + self._network_arguments()
        if incoming:
            arguments += ["-incoming", "defer", "-S"]
        return [*arguments, *configuration.extra_arguments]

    def _disk_arguments(self) -> list[str]:
        system = ("-drive", f"if=none,id=system,format=qcow2,cache=unsafe,file={self.overlay}")
        disk = "virtio-blk-pci,drive=system,serial=system,bootindex=1,addr=0x05"
        if self._write_log is not None:
            system = ("-blockdev", json.dumps(write_log.blockdev(self.overlay, self._write_log)))
            disk += f",{write_log.DEVICE_OPTION}"
        arguments = [
            *system,
            "-device",
            "usb-storage,drive=system,serial=stick,removable=on,bootindex=1,bus=usb.0,port=3"
            if self.configuration.stick
            else disk,
        ]
        for number, (serial, _) in enumerate(self.configuration.extra_disks):
            path = self.directory / f"{serial}.qcow2"
            arguments += ["-drive", f"if=none,id=disk{number},format=qcow2,cache=unsafe,file={path}"]
            arguments += [
                "-device",
                f"virtio-blk-pci,drive=disk{number},serial={serial},addr={6 + number:#x}",
            ]
        if self.configuration.firmware == "uefi":
            code, _ = _find_ovmf()
            variables = self.directory / "uefi-variables.fd"
            arguments += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"]
            arguments += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
        return arguments

    def _network_arguments(self) -> list[str]:
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:{h}-:{g}" for h, g in self.configuration.forwards)
        # Management comes first on the bus. The user network has DHCP; 10.0.2.2 is the host's loopback.
        user = f"user,id=management{forwards}"
        arguments = [
            *("-netdev", self.management.netdev("management") if self.management else user),
            *("-device", f"e1000,netdev=management,id=management,mac={mac_address(0)},addr=0x03,romfile="),
        ]
        if self.management is not None and self.saved is not None:
            # The saved state holds that of QEMU's own network, which needs somewhere to go.
            arguments += ["-netdev", "user,id=unused"]
        for number, port in enumerate(self.ports, 1):
            slot = _FIRST_PORT_SLOT + number - 1
            arguments += ["-netdev", port.netdev(f"port{number}")]
            model = self.configuration.nic_model
            device = f"{model},netdev=port{number},id=port{number},mac={mac_address(number)},addr={slot:#x}"
            arguments += ["-device", f"{device},romfile="]
        return arguments

    def _usb_arguments(self) -> list[str]:
        arguments = ["-device", "qemu-xhci,id=usb,addr=0x1e,p2=8,p3=8"]
        arguments += ["-device", "usb-kbd,id=keyboard,bus=usb.0,port=1"]
        if self.configuration.presenter == "emulated":
            path = self._sockets / "presenter"
            arguments += ["-chardev", f"socket,id=presenter,path={path},server=on,wait=off"]
            arguments += ["-device", "usb-redir,id=presenter,chardev=presenter,bus=usb.0,port=2"]
        elif self.configuration.presenter == "host":
            arguments += [
                "-device",
                "usb-host,id=presenter,vendorid=0x046d,productid=0xc52d,bus=usb.0,port=2",
            ]
        if self.sound_file is not None:
            arguments += ["-audiodev", f"wav,id=sound,path={self.sound_file}"]
        return arguments

    def cut_power(self) -> None:
        """Pull the plug: QEMU is killed. The disk stays as it is at this moment; `start` boots from it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._disconnect()

    def quit(self) -> None:
        """End QEMU in order (like the power cut for the guest, but files such as the WAV are complete)."""
        if self._qmp is not None and self.running:
            with contextlib.suppress(QmpError):
                self._qmp.execute("quit")
        if self._process is not None:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._disconnect()

    def power_off(self, timeout: float = 60.0) -> None:
        """Press the power button and wait for the guest to shut down."""
        self.qmp("system_powerdown")
        assert self._process is not None
        try:
            self._process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise BenchTimeoutError(f"the guest did not shut down within {timeout:g} s") from error
        self._disconnect()

    # -- the system disk, while the machine is off

    def read_disk(self, at: int, length: int) -> bytes:
        """Return bytes of the machine's system disk; the offset in whole sectors of 512 bytes."""
        if self.running:
            raise BenchError("the machine is on: its disk can only be read when it is off")
        self._make_disks()
        path = self.directory / "piece"
        _qemu_img(
            *("dd", "-f", "qcow2", "-O", "raw", "bs=512", f"skip={at // 512}"),
            *(f"count={-(-(at + length) // 512)}", f"if={self.overlay}", f"of={path}"),
        )
        return path.read_bytes()[:length]

    def write_disk(self, at: int, data: bytes) -> None:
        """Write bytes to the machine's system disk."""
        if self.running:
            raise BenchError("the machine is on: its disk can only be written when it is off")
        self._make_disks()
        path = self.directory / "piece"
        path.write_bytes(data)
        command = ["qemu-io", "-f", "qcow2", "-c", f"write -s {path} {at} {len(data)}", str(self.overlay)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or "wrote" not in done.stdout:
            raise BenchError(f"writing to the disk: {done.stdout}{done.stderr}")

    def wait_ended(self) -> int:
        """Wait until QEMU ends by itself and return its exit code."""
        assert self._process is not None
        code = self._process.wait()
        self._disconnect()
        return code

    def _disconnect(self) -> None:
        self.presenter.close()
        if self._agent is not None:
            self._agent.close()
        if self._qmp is not None:
            self._qmp.close()
        if self._watch is not None:
            self._watch.close()
        self._agent = self._qmp = self._watch = None

    def close(self) -> None:
        """End the machine and its cables. Log files stay in its directory, the disk too."""
        self.quit()
        for port in self.ports:
            port.close()
        if self.management is not None:
            self.management.close()
        shutil.rmtree(self._sockets, ignore_errors=True)

    def remove_disks(self) -> None:
        """Delete the disk files of a closed machine, keep its logs."""
        for path in self.directory.glob("*.qcow2"):
            path.unlink()

    def __enter__(self) -> "VirtualMachine":
        """Start; `close` follows at the end of the block."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # -- saved state

    def save(self, state: SavedState) -> None:
        """Freeze the running guest into `state` and end the machine; the overlay moves there."""
        directory = state.memory.parent
        directory.mkdir(parents=True, exist_ok=True)
        self.qmp("stop")
        partial = state.memory.with_suffix(".partial")
        self.qmp("migrate", uri=f"exec:cat > '{partial}'")
        deadline = time.monotonic() + 120 * PATIENCE
        while (status := self.qmp("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > deadline:
                raise BenchError(f"saving the machine's state: {self.qmp('query-migrate')}")
            time.sleep(0.05)
        self.quit()
        for path in self.directory.glob("*.qcow2"):
            shutil.move(path, directory / path.name)
        if state.variables is not None:
            shutil.copyfile(self.directory / "uefi-variables.fd", state.variables)
        partial.rename(state.memory)

    # -- using it

    def qmp(self, command: str, /, **arguments: Any) -> Any:
        """Run a QMP command; see QmpClient.execute."""
        if self._qmp is None:
            raise BenchError("the machine is off")
        return self._qmp.execute(command, **arguments)

    def wait_qmp_event(self, name: str, timeout: float) -> dict[str, Any]:
        """Wait for an event of QEMU that nobody has taken yet; see QmpClient.wait_event."""
        if self._qmp is None:
            raise BenchError("the machine is off")
        return self._qmp.wait_event(name, timeout)

    @property
    def agent(self) -> GuestAgent:
        """The agent in the guest; raises BenchError when the machine is off, or its start was given up."""
        if self._start is not None and self._start.hopeless:
            raise BenchError(self._start.hopeless)
        if self._agent is None:
            raise BenchError("the machine is off")
        return self._agent

    def wait_agent(self, timeout: float = 180.0) -> None:
        """Wait until the guest's agent answers, which is early in the boot."""
        deadline = time.monotonic() + timeout * PATIENCE
        try:
            while True:
                try:
                    self.agent.request("clock", max(0.0, deadline - time.monotonic()))
                    break
                except GuestResetError:  # it crashed while it started; then it starts by itself
                    pass
        except BenchError as error:
            tail = self.serial_text()[-1500:]
            raise BenchError(f"{error}; the serial console's last words:\n{tail}") from error
        if self._start is not None:
            self._start.answers()

    @property
    def begun_anew(self) -> list[str]:
        """Why the last start was begun anew, once for each time (see tests.harness.watch)."""
        return [] if self._start is None else self._start.anew

    def ready(self) -> None:
        """The device is ready: so long its start took."""
        if self._start is not None:
            self._start.ready()

    def run(
        self, command: str | list[str], timeout: float = 60.0, *, check: bool = True, stdin: bytes = b""
    ) -> Result:
        """Run a command as root in the guest (a string goes through its shell).

        Raises GuestCommandError for an exit code other than zero unless `check` is off, BenchTimeoutError.
        """
        return self.agent.run(command, timeout, check, stdin)

    def pull(self, path: str) -> bytes:
        """Return the contents of a file in the guest."""
        return self.agent.pull(path)

    def push(self, data: bytes, path: str) -> None:
        """Write a file in the guest."""
        self.agent.push(data, path)

    def serial_text(self) -> str:
        """What the serial console said since the last start."""
        try:
            with self.serial_log.open("rb") as file:
                file.seek(self._marker)
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def wait_serial(self, pattern: str, timeout: float = 180.0) -> re.Match[str]:
        """Wait until the serial console shows a text that the regular expression matches."""
        deadline = time.monotonic() + timeout * PATIENCE
        while True:
            text = self.serial_text()
            if match := re.search(pattern, text):
                return match
            if not self.running:
                raise BenchError(f"QEMU ended while waiting for {pattern!r}; console:\n{text[-1500:]}")
            if time.monotonic() > deadline:
                raise BenchTimeoutError(f"{pattern!r} not on the console in {timeout:g} s:\n{text[-1500:]}")
            time.sleep(0.05)

    def serial_write(self, data: bytes) -> None:
        """Type on a terminal at the serial port."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(str(self._sockets / "serial"))
            line.sendall(data)
            time.sleep(0.2)  # QEMU drops what it has not read when the line is hung up

    def screenshot(self, path: Path) -> None:
        """Save what the monitor shows as a PNG file."""
        self.qmp("screendump", filename=str(path.resolve()), format="png")

    def send_keys(self, *keys: str, hold_ms: int = 50) -> None:
        """Press keys of the attached keyboard together, by QEMU's names (QKeyCode), e.g. "shift", "s"."""
        codes = [{"type": "qcode", "data": key} for key in keys]
        self.qmp("send-key", keys=codes, hold_time=hold_ms)

    def forward(self, port: int) -> int:
        """Let a TCP port of the guest be reached on the host's loopback; the number of the port there.

        With QEMU's own network at the management port. Raises BenchError.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            here: int = probe.getsockname()[1]
        command = f"hostfwd_add management tcp:127.0.0.1:{here}-:{port}"
        if words := self.qmp("human-monitor-command", **{"command-line": command}).strip():
            raise BenchError(f"{command}: {words}")
        return here

    def set_link(self, device: str, up: bool) -> None:
        """Plug or pull a network cable: "port1"…, or "management"."""
        self.qmp("set_link", name=device, up=up)

    def add_device(self, driver: str, name: str, **properties: str | int | bool) -> None:
        """Plug in a device."""
        self.qmp("device_add", driver=driver, id=name, **properties)

    def remove_device(self, name: str, timeout: float = 30.0) -> None:
        """Pull a device out and wait until it is gone."""
        self.qmp("device_del", id=name)
        assert self._qmp is not None
        while True:
            event = self._qmp.wait_event("DEVICE_DELETED", timeout)
            if event.get("data", {}).get("device") == name:
                return


def mac_address(number: int) -> str:
    """MAC address of the management port (0) or of measuring port 1, 2, …: QEMU's range, locally unique."""
    return f"52:54:00:a1:1e:{number:02x}"


def _qemu_img(*arguments: str) -> None:
    done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"qemu-img {' '.join(arguments)}: {done.stderr.strip()}")


def _find_ovmf() -> tuple[Path, Path]:
    for code, variables in _OVMF:
        if Path(code).exists() and Path(variables).exists():
            return Path(code), Path(variables)
    raise BenchError("no UEFI firmware for QEMU found: install the package ovmf")


@contextlib.contextmanager
def keep_diagnosis(machine: VirtualMachine, directory: Path) -> Iterator[None]:
    """On an exception inside the block, copy console, QEMU's log, screenshot and journal to `directory`."""
    try:
        yield
    except BaseException:
        save_diagnosis(machine, directory)
        raise


def save_diagnosis(machine: VirtualMachine, directory: Path) -> None:
    """Copy what helps to find a fault to `directory`; takes what it can get."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in (machine.serial_log, machine.directory / "qemu.log"):
        if path.exists():
            shutil.copy(path, directory / path.name)
    if machine.running:
        with contextlib.suppress(BenchError):
            machine.screenshot(directory / "screen.png")
        with contextlib.suppress(BenchError):
            journal = machine.run("journalctl -b --no-pager -o short-precise", timeout=30, check=False)
            (directory / "journal.txt").write_text(journal.stdout)
