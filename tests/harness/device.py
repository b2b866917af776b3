"""Allegro as a user of its API sees it: what tests and demo ask of the device in the virtual machine."""

import json
import time
from pathlib import Path
from typing import Any

from tests.harness.bench_errors import BenchError, BenchTimeoutError
from tests.harness.captures import Capture, check
from tests.harness.qemu import VirtualMachine
from tests.harness.waiting import PATIENCE, wait_for

API_SOCKET = "/run/allegro/api.sock"
STORAGE = "/data/storage"
UPLOAD = "/data/storage/upload"
PRESENTER_NAME = "R400"
ENDED = ("complete", "failed", "cancelled", "refused")


class ApiRefusedError(BenchError):
    """The device's API answered with an error."""

    def __init__(self, status: int, message: str, place: str, remedy: str) -> None:
        super().__init__(f"HTTP {status}: {message} [{place}] {remedy}")
        self.status = status
        self.message = message
        self.place = place
        self.remedy = remedy


class Device:
    """The device in a running machine."""

    def __init__(self, machine: VirtualMachine) -> None:
        self.machine = machine

    # -- API

    def api(self, method: str, path: str, body: object = None, timeout: float = 120.0) -> Any:
        """Do one request, path without /api; returns the decoded answer.

        Raises ApiRefusedError for an error of the API, BenchError when the API cannot be reached.
        """
        content = None if body is None else json.dumps(body)
        status, text = self.machine.agent.http(API_SOCKET, method, f"/api{path}", content, timeout)
        if status >= 400:
            try:
                error = json.loads(text)["error"]
            except (ValueError, KeyError, TypeError):
                raise BenchError(
                    f"{method} {path}: HTTP {status} without a proper error: {text[:500]}"
                ) from None
            raise ApiRefusedError(status, error["message"], error.get("place", ""), error.get("remedy", ""))
        return json.loads(text) if text else None

    def get(self, path: str) -> Any:
        """GET."""
        return self.api("GET", path)

    def post(self, path: str, body: object = None) -> Any:
        """POST."""
        return self.api("POST", path, body)

    def set(self, settings: dict[str, Any]) -> Any:
        """Change settings: a nested object with what is to change."""
        return self.api("PATCH", "/settings", settings)

    def status(self) -> dict[str, Any]:
        """The device at a glance."""
        answer: dict[str, Any] = self.get("/status")
        return answer

    def problems(self) -> list[str]:
        """Ids of what is wrong, but for the passwords of a device that nobody has set up."""
        return [each["id"] for each in self.status()["problems"] if each["id"] != "first-passwords"]

    def jobs(self) -> list[dict[str, Any]]:
        """All captures, oldest first."""
        answer: list[dict[str, Any]] = self.get("/jobs?limit=1000")
        return answer[::-1]

    # -- waiting

    def wait_ready(self, timeout: float = 240.0, ports: int | None = None) -> dict[str, Any]:
        """Wait until the API answers, the recorder records, and all measuring ports are there with a link.

        Returns the status. Raises BenchTimeoutError with the last thing that was missing.
        """
        timeout *= PATIENCE
        deadline = time.monotonic() + timeout
        wanted = self.machine.configuration.ports if ports is None else ports
        self.machine.wait_agent(timeout)
        missing = ""
        while time.monotonic() < deadline:
            try:
                status = self.status()
            except BenchError as error:
                missing = str(error)
                pause_s = 1.0  # asking costs the starting device time
            else:
                pause_s = 0.3
                ring = status["ring"]
                links = [port for port in ring["ports"] if port["link_up"]]
                if ring["state"] == "recording" and len(links) >= wanted:
                    self.machine.ready()
                    return status
                missing = (
                    f"ring {ring['state']} {ring['message']!r}, {len(links)} of {wanted} ports have a link"
                )
            time.sleep(pause_s)
        raise BenchTimeoutError(f"the device is not ready after {timeout:g} s: {missing}")

    def wait_jobs(self, count: int, timeout: float = 60.0, *, after: int = 0) -> list[dict[str, Any]]:
        """Wait until `count` captures with ids above `after` have ended and return them, oldest first."""

        def ended() -> list[dict[str, Any]] | None:
            jobs = [job for job in self.jobs() if job["id"] > after]
            done = [job for job in jobs if job["state"] in ENDED]
            return done if len(done) >= count and len(done) == len(jobs) else None

        try:
            return wait_for(ended, f"{count} ended captures", timeout, 0.2)
        except BenchTimeoutError as error:
            raise BenchTimeoutError(f"{error}; captures: {self.jobs()}") from None

    def last_job(self) -> int:
        """Id of the newest capture, 0 if there is none."""
        jobs = self.jobs()
        return int(jobs[-1]["id"]) if jobs else 0

    def wait_recorded(self, packets: int, timeout: float = 30.0) -> None:
        """Wait until the recorder counts at least that many packets since its start."""
        wait_for(lambda: self.get("/ring")["packets"] >= packets, f"{packets} recorded packets", timeout, 0.2)

    # -- presenter

    def plug_presenter(self, timeout: float = 20.0) -> float:
        """Plug the presenter in and wait until the device listens to it.

        Returns the seconds by the guest's clock from plugging in to the device's own message that it listens.
        """
        plugged = self.guest_ns(time.time_ns())
        self.machine.presenter.plug()
        wait_for(lambda: self.status()["presenters"], "the presenter in the device's status", timeout)
        listens = wait_for(lambda: self._listens_since(plugged), "the presenter in the log", timeout)
        return (listens - plugged) / 1e9

    def _listens_since(self, after_ns: int) -> int | None:
        """Guest's time (ns) of the log's last word that a presenter is listened to; None if it is older."""
        said = f"grep 'Presenters plugged in: .*{PRESENTER_NAME}'"
        command = f"journalctl -b -o short-unix --no-pager | {said} | tail -n 1"
        at_ns = int(float((self.machine.run(command).stdout.split() or ["0"])[0]) * 1e9)
        return at_ns if at_ns > after_ns else None

    def guest_ns(self, host_ns: int) -> int:
        """Convert a time of the host's clock to the guest's clock."""
        return host_ns + self.machine.agent.clock_offset_ns()

    # -- captures

    def trigger(self, **request: object) -> dict[str, Any]:
        """Fire the trigger by API and return the job."""
        answer: dict[str, Any] = self.post("/trigger", request)
        return answer

    def fetch(self, job: dict[str, Any], directory: Path) -> Path:
        """Copy a capture's file to the host and return its path there."""
        path = directory / str(job["file"])
        path.write_bytes(
            self.machine.pull(f"{UPLOAD if job['directory'] == 'upload' else STORAGE}/{job['file']}")
        )
        return path

    def fetch_checked(self, job: dict[str, Any], directory: Path) -> Capture:
        """Copy a capture's file, have it judged (see captures.check) and return its contents."""
        if job["state"] != "complete":
            raise BenchError(f"capture {job['id']} is {job['state']}: {job['message']}")
        return check(self.fetch(job, directory))

    def capture(self, directory: Path, **request: object) -> Capture:
        """Fire the trigger by API, wait for the file, and return its checked contents."""
        job = self.trigger(**request)
        return self.fetch_checked(self.wait_job(job["id"]), directory)

    def wait_job(self, number: int, timeout: float = 60.0) -> dict[str, Any]:
        """Wait until a capture has ended and return it."""

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = self.get(f"/jobs/{number}")
            return job if job["state"] in ENDED else None

        try:
            return wait_for(ended, f"the end of capture {number}", timeout, 0.2)
        except BenchTimeoutError as error:
            raise BenchTimeoutError(f"{error}; it is: {self.get(f'/jobs/{number}')}") from None
