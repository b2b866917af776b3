"""RAUC over D-Bus (interface de.pengutronix.rauc.Installer of RAUC 1.13): inspect, install, mark.

jeepney is the D-Bus library: pure Python, no event loop of its own (the supervisor works with threads), and
no classes to generate for three calls.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Literal

from jeepney import (
    DBusAddress,
    DBusErrorResponse,
    MatchRule,
    Message,
    Properties,
    message_bus,
    new_method_call,
)
from jeepney.io.blocking import DBusConnection, Proxy, open_dbus_connection
from jeepney.wrappers import unwrap_msg

from allegro.errors import AllegroError, Unavailable

NAME = "de.pengutronix.rauc"
INTERFACE = "de.pengutronix.rauc.Installer"
_SERVICE = DBusAddress("/", bus_name=NAME, interface=INTERFACE)

CALL_S = 60.0
"""RAUC answers at once, but it may have to be started first, and a small processor takes its time."""

POLL_S = 0.5

_UNFINISHED = ("pending", "failed")
"""What RAUC notes of a slot before it begins to write, and when that failed (RAUC 1.13, src/install.c)."""


class Refused(AllegroError):
    """RAUC did not do what it was asked for; the message is its own."""


class Rauc:
    """Each call opens its own connection, so that every thread may call. `bus` as jeepney names it.

    All methods raise Unavailable if RAUC cannot be reached, and Refused with its words if it refuses.
    """

    def __init__(self, bus: str = "SYSTEM") -> None:
        self._bus = bus

    def inspect(self, bundle: str) -> dict[str, Any]:
        """The manifest of a bundle whose signature is good, as nested plain values."""
        with self._connection() as connection:
            (answer,) = _call(connection, "InspectBundle", "sa{sv}", (bundle, {}))
        found: dict[str, Any] = plain(answer)
        return found

    def mark(self, state: Literal["good", "bad", "active"], slot: str) -> None:
        """Marks a slot: RAUC's name of it, "booted" or "other"."""
        with self._connection() as connection:
            _call(connection, "Mark", "ss", (state, slot))

    def unfinished(self, slot: str) -> bool:
        """Whether the last installation in the slot with this boot name did not come to its end."""
        with self._connection() as connection:
            (slots,) = _call(connection, "GetSlotStatus", None, ())
        facts = (plain(each) for _name, each in slots)
        return any(each.get("bootname") == slot and each.get("status") in _UNFINISHED for each in facts)

    def install(self, bundle: str, progress: Callable[[float], None]) -> None:
        """Writes the bundle to the slot that is not running; `progress` is called with 0 to 1."""
        rule = MatchRule(type="signal", interface=INTERFACE, member="Completed", path="/")
        with self._connection() as connection:
            Proxy(message_bus, connection, timeout=CALL_S).AddMatch(rule)
            ends: deque[Message] = deque(maxlen=1)
            with connection.filter(rule, queue=ends):
                _call(connection, "InstallBundle", "sa{sv}", (bundle, {}))
                result = _wait(connection, ends, progress)
            if result != 0:
                raise Refused(str(_property(connection, "LastError")) or "It failed without a reason.")

    @contextlib.contextmanager
    def _connection(self) -> Iterator[DBusConnection]:
        try:
            with open_dbus_connection(self._bus, auth_timeout=CALL_S) as connection:
                yield connection
        except DBusErrorResponse as error:
            words = error.data[0] if error.data and isinstance(error.data[0], str) else error.name
            if error.name.startswith("org.freedesktop.DBus.Error."):
                raise _unavailable(words) from None
            raise Refused(words) from None
        except (OSError, TimeoutError, KeyError) as error:  # KeyError: no address of such a bus
            raise _unavailable(str(error) or type(error).__name__) from error


def _unavailable(reason: str) -> Unavailable:
    return Unavailable(
        f"The installer of firmware does not answer ({reason.rstrip('.')}).",
        remedy="Restart the device; if this message stays, start the previous version from the boot menu.",
    )


def _call(connection: DBusConnection, method: str, signature: str | None, body: tuple[Any, ...]) -> Any:
    request = new_method_call(_SERVICE, method, signature, body)
    return unwrap_msg(connection.send_and_get_reply(request, timeout=CALL_S))


def _property(connection: DBusConnection, name: str) -> Any:
    request = Properties(_SERVICE).get(name)
    (variant,) = unwrap_msg(connection.send_and_get_reply(request, timeout=CALL_S))
    return plain(variant)


def _wait(connection: DBusConnection, ends: "deque[Message]", progress: Callable[[float], None]) -> int:
    """The result of the installation that has been started."""
    idle = 0
    while True:
        with contextlib.suppress(TimeoutError):
            return int(connection.recv_until_filtered(ends, timeout=POLL_S).body[0])
        percent, _text, _depth = _property(connection, "Progress")
        progress(percent / 100)
        # A service that was killed is started anew by the question, and knows of no installation.
        idle = idle + 1 if _property(connection, "Operation") == "idle" and not ends else 0
        if idle > 2:
            raise Refused("The installer of firmware was restarted in the middle of the installation.")


def plain(value: Any) -> Any:
    """A D-Bus value as jeepney gives it, without the signatures of its variants."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and _is_signature(value[0]):
        return plain(value[1])
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def _is_signature(text: str) -> bool:
    return bool(text) and set(text) <= set("ybnqiuxtdhsogav(){}")
