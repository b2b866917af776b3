"""What the service of the firmware needs of the device around it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from allegro.firmware import boot_state, releases
from allegro.firmware.authority import Authority
from allegro.firmware.boot_state import BootName, BootState
from allegro.firmware.release_index import Offer
from allegro.firmware.releases import Release


class Installer(Protocol):
    """What is needed of RAUC (`allegro.firmware.rauc.Rauc`)."""

    def inspect(self, bundle: str) -> dict[str, Any]:  # noqa: D102
        ...

    def install(self, bundle: str, progress: Callable[[float], None]) -> None:  # noqa: D102
        ...

    def mark(self, state: Literal["good", "bad", "active"], slot: str) -> None:  # noqa: D102
        ...

    def unfinished(self, slot: str) -> bool:  # noqa: D102
        ...


class UpdateServer(Protocol):
    """What is needed of an update server (`allegro.firmware.update_client.Server`)."""

    def index(self) -> bytes:  # noqa: D102
        ...

    def download(  # noqa: D102
        self, offer: Offer, target: Path, progress: Callable[[float], None], stop: threading.Event
    ) -> None: ...

    def close(self) -> None:  # noqa: D102
        ...


@dataclass(frozen=True)
class Surroundings:
    """What the device is. Functions may be called from any thread.

    `running`: version and slot (None: not started from one); `look`: release in a slot; `boot_state`: as it
    is.
    """

    version: str
    slot: BootName | None
    boot_id: str
    authority: Callable[[], Authority]
    installer: Installer
    server: Callable[[], UpdateServer]
    boot_state: Callable[[], BootState] = boot_state.read
    look: Callable[[str], Release | None] = releases.read_slot
    own_release: Callable[[], Release | None] = lambda: releases.read(Path("/"))
    slot_size: Callable[[str], int] = releases.slot_size
    recording: Callable[[], bool] = lambda: True
    restart: Callable[[], None] = lambda: None
