"""A device whose firmware is updated by a test: update server, long actions, restarts."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from board.allegro.image.signing_keys import Keys
from scripts.catalogue import write_index
from tests.harness.bench_errors import BenchError
from tests.harness.certificates import TestAuthority
from tests.harness.device import Device
from tests.harness.update_server import UpdateServer
from tests.harness.waiting import wait_for

INSTALL_S = 300.0
RESTART_S = 400.0
FALL_BACK_S = 900.0
"""Three starts that fail and one that does not, on a busy machine without hardware acceleration."""

_BREAKS_AFTER = 60_000_000
"""Bytes of a bundle."""

Answer = dict[str, Any]


@contextmanager
def update_server(folder: Path, bundles: list[Path], keys: Keys, device: Device) -> Iterator[UpdateServer]:
    """Serve the bundles with their index on the host, and tell the device about it."""
    served = folder / "served"
    served.mkdir()
    for path in bundles:
        (served / path.name).symlink_to(path)
    write_index(served, keys)
    authority = TestAuthority(folder / "authority")
    with UpdateServer(served, authority.issue("server", server=True).chain) as server:
        device.set({"firmware": {"server": f"https://10.0.2.2:{server.port}", "certificate": authority.pem}})
        yield server


def bring(device: Device, bundle: Path, version: str, keys: Keys) -> None:
    """Let the device download one version from an update server that is there just for that."""
    with (
        tempfile.TemporaryDirectory(prefix="allegro-served-") as folder,
        update_server(Path(folder), [bundle], keys, device),
    ):
        follow(device, "/firmware/download", {"version": version})


def bring_over_a_bad_line(device: Device, bundles: dict[str, Path], keys: Keys) -> None:
    """Let the device find newer versions and download all; the connection breaks off in the first of them.

    Raises BenchError if the device does not find the first one, or does not go on where it was.
    """
    newest = next(iter(bundles))
    with (
        tempfile.TemporaryDirectory(prefix="allegro-served-") as folder,
        update_server(Path(folder), list(bundles.values()), keys, device) as server,
    ):
        told = (device.post("/firmware/check")["newer"], device.status()["newer_firmware"])
        if told != (newest, newest):
            raise BenchError(f"the server has {newest}, but the device tells of {told}")
        server.break_after = _BREAKS_AFTER
        for version in bundles:
            follow(device, "/firmware/download", {"version": version})
            server.break_after = None
        if not any("bytes=" in request for request in server.requests):
            raise BenchError(f"the download that broke off did not go on where it was: {server.requests}")


def follow(device: Device, path: str, body: Answer, timeout: float = INSTALL_S) -> None:
    """Start long work and wait for its end; raises BenchError if it fails."""
    device.post(path, body)

    def ended() -> Answer | None:
        (action,) = [each for each in device.status()["actions"] if each["name"] == "firmware"]
        return action if action["state"] != "running" else None

    action = wait_for(ended, f"the end of {path}", timeout, 2)  # each look costs the device time
    if action["state"] != "done":
        raise BenchError(f"{path} {body}: {action['text']}")


def activate(device: Device, slot: str, *, older: bool = False) -> str:
    """Let the device restart with a slot; returns the version that starts."""
    answer = device.post("/firmware/activate", {"slot": slot, "older": older})
    return str(answer["version"])


def overview(device: Device) -> Answer | None:
    """The firmware, or None while the device does not answer."""
    try:
        answer: Answer = device.api("GET", "/firmware", timeout=10)
    except BenchError:
        return None
    return answer


def wait_confirmed(device: Device, version: str, slot: str) -> Answer:
    """Wait until a version runs in a slot and has been confirmed."""

    def there() -> Answer | None:
        answer = overview(device)
        right = answer is not None and (answer["version"], answer["slot"]) == (version, slot)
        # The note about the trial is the last that goes.
        return answer if right and answer and answer["confirmed"] and not _on_trial(device) else None

    return wait_for(there, f"{version} confirmed in {slot}", RESTART_S, 2.0)


def wait_fallen_back(device: Device, from_version: str) -> str:
    """Wait until the device tells that it fell back from a version; returns its words."""

    def told() -> str:
        try:
            events = device.api("GET", "/firmware/events", timeout=10)
        except BenchError:
            return ""
        newest = events[0] if events else {"kind": "", "text": ""}
        fell = newest["kind"] == "fell-back" and f"from {from_version} " in newest["text"]
        return str(newest["text"]) if fell else ""

    return wait_for(told, f"the fall-back from {from_version}", FALL_BACK_S, 1.0)


def _on_trial(device: Device) -> bool:
    return device.machine.run("test -e /data/firmware/trial.json", check=False).returncode == 0


def boot_state_of(device: Device) -> Answer:
    """The boot state as the device reads it."""
    command = (
        "import json, dataclasses; from allegro.firmware import boot_state;"
        "print(json.dumps(dataclasses.asdict(boot_state.read())))"
    )
    answer: Answer = json.loads(device.machine.run(["python3", "-I", "-c", command]).stdout)
    return answer
