"""What the firmware updates need of this device."""

from collections.abc import Callable
from pathlib import Path

from allegro.capture.status import RecorderStatus
from allegro.firmware import boot_state
from allegro.firmware.authority import read_authority
from allegro.firmware.device_around import Surroundings, UpdateServer
from allegro.firmware.rauc import Rauc
from allegro.settings.model import Firmware
from allegro.system.power import power

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def surroundings(
    version: str, settings: Callable[[], Firmware], recorder: Callable[[], RecorderStatus | None]
) -> Surroundings:
    """The device itself."""

    def server() -> UpdateServer:
        from allegro.firmware.update_client import (
            Server,  # its HTTP client takes long to load, and is rarely needed
        )

        return Server(settings().server, settings().certificate)

    def recording() -> bool:
        status = recorder()
        return status is not None and status.state == "recording" and not status.in_memory_since_ns

    return Surroundings(
        version=version,
        slot=boot_state.running(),
        boot_id=BOOT_ID.read_text(encoding="ascii").strip(),
        authority=read_authority,
        installer=Rauc(),
        server=server,
        recording=recording,
        restart=lambda: power("reboot"),
    )
