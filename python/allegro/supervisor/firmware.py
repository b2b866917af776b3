"""What the firmware updates need of this device."""

import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

from allegro.capture.status import RecorderStatus
from allegro.firmware import boot_state
from allegro.firmware.authority import read_authority
from allegro.firmware.rauc import Rauc
from allegro.firmware.update import Surroundings, UpdateServer
from allegro.settings.model import Firmware

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
RESTART_AFTER_S = 1
"""Time for the answer to whoever asked for the restart."""

log = logging.getLogger(__name__)


def surroundings(
    version: str, settings: Callable[[], Firmware], recorder: Callable[[], RecorderStatus | None]
) -> Surroundings:
    """The device itself."""

    def server() -> UpdateServer:
        from allegro.firmware.server import Server  # its HTTP client takes long to load, and is rarely needed

        return Server(settings().server, settings().certificate)

    def recording() -> bool:
        status = recorder()
        return status is not None and status.state == "recording"

    return Surroundings(
        version=version,
        slot=boot_state.running(),
        boot_id=BOOT_ID.read_text(encoding="ascii").strip(),
        authority=read_authority,
        installer=Rauc(),
        server=server,
        recording=recording,
        restart=restart,
    )


def restart() -> None:
    """Restarts the device in a moment; systemd stops everything in order."""
    log.warning("The device restarts")
    command = ["systemd-run", "--quiet", f"--on-active={RESTART_AFTER_S}", "systemctl", "reboot"]
    subprocess.run(command, capture_output=True, timeout=20, check=False)
