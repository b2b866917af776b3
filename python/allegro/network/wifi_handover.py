"""From the password of a new device to one of its own, without cutting anybody off.

Who sets the device up is often in its WiFi, by the first password. Both let in until somebody has joined with
the new one, an hour at most; then the first one does not any more, and who is in with it is put off. What
hostapd is told for that is in `wifi_files`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from allegro.network import wifi_files
from allegro.network.wifi_files import OWN_KEY, Radio
from allegro.settings.wifi import FIRST_PASSWORD
from allegro.system import boottime

LONGEST_S = 3600.0
LOOK_EVERY_S = 2.0


class System(Protocol):
    """What this needs of `allegro.network.wifi_system.WifiSystem`."""

    @property
    def access_point_control(self) -> str: ...  # noqa: D102 (described there, as all below)
    @property
    def passwords_at_start(self) -> str: ...  # noqa: D102
    @property
    def passwords_while_running(self) -> str: ...  # noqa: D102
    def change_passwords(  # noqa: D102
        self, orders: Mapping[str, str], passwords: str, commands: list[str]
    ) -> None: ...
    def keys_kept(self) -> frozenset[str]: ...  # noqa: D102
    def somebody_used(self, key: str) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Handover:
    """Until when both passwords let in (CLOCK_BOOTTIME, seconds), and the keys (PMKID) that WPA3 had agreed
    on with the first one: any other comes of the new one."""

    until_s: float
    keys: frozenset[str] = frozenset()


class Passwords:
    """Which passwords the access point takes."""

    def __init__(self, system: System, clock: Callable[[], float] = lambda: boottime.now_ns() / 1e9) -> None:
        self._system = system
        self._clock = clock
        self.handover: Handover | None = None

    @property
    def both_s(self) -> float | None:
        """For how long both let in at most; None if only one does."""
        handover = self.handover
        return None if handover is None else max(handover.until_s - self._clock(), 0.0)

    def begin(self) -> None:
        """From now on both are to let in."""
        self.handover = Handover(self._clock() + LONGEST_S)

    def restarted(self) -> None:
        """A hostapd that starts keeps no keys."""
        if self.handover is not None:
            self.handover = Handover(self.handover.until_s)

    def orders(self, own: str) -> dict[str, str]:
        """What a hostapd that starts is given besides its configuration."""
        return {"passwords": wifi_files.passwords(*self._known(own))}

    def more(self) -> str:
        """The file of passwords that its configuration names; empty if it takes one only."""
        return self._system.passwords_at_start if self.handover else ""

    def hold_both(self, radio: Radio, own: str) -> None:
        """Lets a hostapd that runs with the first one take both. Raises Unavailable."""
        assert self.handover is not None  # noqa: S101 (begun by its caller)
        self.handover = Handover(self.handover.until_s, self._system.keys_kept())
        self._tell(radio, own, wifi_files.hold_both(own, self._system.passwords_while_running))

    def hold_one(self, radio: Radio, own: str) -> None:
        """Lets it take the new one only, when the handover is over. Raises Unavailable."""
        self.handover = None
        self._tell(radio, own, wifi_files.hold_one(own, self._system.passwords_while_running))

    def is_over(self) -> bool:
        """Whether somebody has joined with the new one, or the time is over. Raises Unavailable."""
        if self.handover is None:
            return False
        if self.both_s == 0:
            return True
        return self._system.somebody_used(OWN_KEY) or bool(self._system.keys_kept() - self.handover.keys)

    def _known(self, own: str) -> tuple[str, ...]:
        return (FIRST_PASSWORD, own) if self.handover else (own,)

    def _tell(self, radio: Radio, own: str, commands: list[str]) -> None:
        configuration = wifi_files.hostapd(radio, own, self._system.access_point_control, self.more())
        self._system.change_passwords(
            {"access-point": configuration, **self.orders(own)},
            wifi_files.passwords(*self._known(own)),
            commands,
        )
