"""Network namespaces and programs in them."""

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from tests.harness.bench_errors import BenchError, BenchTimeoutError
from tests.harness.waiting import PATIENCE

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000  # linux/sched.h


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


class Namespace:
    """A network namespace of our own; deleted with everything that runs in it by `close`."""

    def __init__(self, name: str) -> None:
        """Make it, with loopback up. One of the same name, left by an earlier run, is removed first."""
        self.name = name
        self._programs: list[subprocess.Popen[bytes]] = []
        if self.path.exists():
            self.close()
        _ip("netns", "add", name)
        self.ip("link", "set", "lo", "up")
        # No packets by themselves: tests count frames.
        self.sysctl("net.ipv6.conf.default.router_solicitations", "0")

    @property
    def path(self) -> Path:
        """Where ip-netns(8) keeps it."""
        return Path("/run/netns") / self.name

    def ip(self, *arguments: str) -> None:
        """Run ip(8) in it."""
        _ip("-netns", self.name, *arguments)

    def sysctl(self, name: str, value: str) -> None:
        """Set a network sysctl of it."""
        self.run(["sh", "-c", f"echo {value} > /proc/sys/{name.replace('.', '/')}"])

    def run(
        self, command: Sequence[str], timeout: float = 30.0, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in it to its end and return its output.

        Raises BenchError for an exit code other than zero unless `check` is off, BenchTimeoutError.
        """
        try:
            done = subprocess.run(
                ["ip", "netns", "exec", self.name, *command],
                capture_output=True,
                text=True,
                timeout=timeout * PATIENCE,
            )
        except subprocess.TimeoutExpired as error:
            raise BenchTimeoutError(f"{' '.join(command)}: not done within {timeout:g} s") from error
        if check and done.returncode:
            raise BenchError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def spawn(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a program in it that runs until `close`; it ends with the bench, too."""
        with log.open("ab") as output:
            program = subprocess.Popen(
                ["ip", "netns", "exec", self.name, "setpriv", "--pdeathsig", "KILL", "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._programs.append(program)
        return program

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in a thread of our own process that is in the namespace.

        Sockets and taps that it opens belong to the namespace for as long as they live.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def body() -> None:
            try:
                descriptor = os.open(self.path, os.O_RDONLY)
                try:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(descriptor, _CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), f"cannot enter the namespace {self.name}")
                finally:
                    os.close(descriptor)
                results.append(function())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=body, name=f"netns-{self.name}")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def close(self) -> None:
        """End its programs and delete it."""
        for program in self._programs:
            program.terminate()
        for program in self._programs:
            try:
                program.wait(3)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        self._programs.clear()
        if not self.path.exists():
            return
        listed = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True)
        for pid in listed.stdout.split():
            if int(pid) != os.getpid():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
        _ip("netns", "del", self.name)
