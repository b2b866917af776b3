"""Carries out a reset at the start of the device, before anything uses the data partition.

Runs once, as root, if the boot menu or the running system asked for a reset (allegro-reset.service). May be
interrupted at any moment: the request lies in the boot state and is cleared last, so that the next start does
it again. A reset that cannot be done is told and given up, because a device that starts is better than none.
"""

import contextlib
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from allegro.errors import AllegroError, Unavailable
from allegro.firmware import boot_state
from allegro.firmware.factory import Disk, factory_reset, make_data_file_system
from allegro.paths import Paths
from allegro.system import configuration_reset
from allegro.system.consoles import announce

MOUNT_POINT = Path("/run/allegro/reset")
_PARTITION_WITHIN_S = 30.0
_FSCK_FAILED = 4  # exit codes of e2fsck(8) from here on: errors were left

log = logging.getLogger("allegro.reset")

Mounted = Callable[[Path], contextlib.AbstractContextManager[Path]]


def failure_path(paths: Paths) -> Path:
    """Why a reset was given up at this start; for the supervisor to tell."""
    return paths.run / "reset-failed"


def tell(text: str) -> None:
    """To everybody who may look: monitor, serial ports, log."""
    log.info("%s", text)
    announce(text)


@contextlib.contextmanager
def mounted(partition: Path) -> Iterator[Path]:
    """The data partition, repaired and mounted for the block. Raises Unavailable."""
    checked = _run("e2fsck", "-p", str(partition))
    if checked.returncode >= _FSCK_FAILED:
        _run("e2fsck", "-y", str(partition))
    MOUNT_POINT.mkdir(parents=True, exist_ok=True)
    options = "noatime,nodev,nosuid,noexec"
    done = _run("mount", "-t", "ext4", "-o", options, str(partition), str(MOUNT_POINT))
    if done.returncode:
        raise Unavailable(
            f"The data partition cannot be used: {' '.join(done.stderr.split())}",
            remedy="A factory reset makes it anew; captures are lost then.",
        )
    try:
        yield MOUNT_POINT
    finally:
        _run("umount", str(MOUNT_POINT))


def reset_configuration(disk: Disk, mount: Mounted) -> None:
    """Removes what the user has set, then the request. Raises AllegroError or OSError."""
    tell("Configuration reset: removing all settings; captures and recorded packets stay")
    with mount(disk.data) as data:
        paths = Paths(data)
        order = configuration_reset.read_order(paths)
        outcome = configuration_reset.remove_settings(paths, order)
        configuration_reset.write_outcome(paths, outcome, order)
        clear_request(disk.boot_state)
        # Not earlier: a start between the two would keep nothing.
        configuration_reset.withdraw_order(paths)
    for name, reason in outcome.failed:
        log.error("%s could not be removed: %s", name, reason)
    log.info("removed: %s", ", ".join(outcome.removed) or "nothing")
    tell("Configuration reset: done")


def clear_request(device: Path) -> None:
    """The reset is done, or given up. Raises Unavailable."""
    state = boot_state.read(device)
    if state.request:
        boot_state.write(device, replace(state, request=""))


def run(disk: Disk, paths: Paths, mount: Mounted = mounted) -> bool:
    """Does what is asked for. True if the device has to start again now."""
    request = boot_state.requested(disk.boot_state)
    try:
        if request == "configuration-reset":
            reset_configuration(disk, mount)
        elif request == "factory-reset":
            if boot_state.running() != boot_state.FACTORY:
                raise Unavailable("The factory version cannot be started.", remedy="Write the image anew.")
            factory_reset(disk, tell, make_data_file_system)
            return True
    except (AllegroError, OSError) as error:
        what = "Configuration" if request == "configuration-reset" else "Factory"
        text = f"{what} reset: not done. {error}"
        log.error("%s", text)
        announce(text)
        with contextlib.suppress(OSError):
            paths.run.mkdir(parents=True, exist_ok=True)
            failure_path(paths).write_text(text)
        try:
            clear_request(disk.boot_state)
        except AllegroError as failure:
            log.error("%s", failure)
    return False


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def wait_for_partitions(disk: Disk) -> None:
    """udev names one partition after the other; a disk without boot state is not waited for very long."""
    end = time.monotonic() + _PARTITION_WITHIN_S
    while not (disk.boot_state.exists() and disk.data.exists()) and time.monotonic() < end:
        time.sleep(0.1)


def main() -> int:
    """Exit code 0; a device that has to start again does so here."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    disk = Disk()
    wait_for_partitions(disk)
    if run(disk, Paths()):
        # At once: nothing is mounted that could be written, and nothing else should use the data partition.
        _run("systemctl", "reboot", "--force", "--force")
        time.sleep(60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
