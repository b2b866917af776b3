"""A D-Bus service that behaves as RAUC does, on the bus at the address given; a process of its own."""

import sys
import time
from typing import Any

from jeepney import (
    DBusAddress,
    MessageType,
    message_bus,
    new_error,
    new_method_return,
    new_signal,
)
from jeepney.io.blocking import DBusConnection, Proxy, open_dbus_connection
from jeepney.low_level import HeaderFields, Message

NAME = "de.pengutronix.rauc"
INTERFACE = "de.pengutronix.rauc.Installer"
FAILED = "org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code36"

properties: dict[str, tuple[str, Any]] = {
    "Progress": ("(isi)", (0, "", 0)),
    "Operation": ("s", "idle"),
    "LastError": ("s", ""),
}
MANIFEST = {
    "update": ("v", ("a{sv}", {"compatible": ("s", "x"), "version": ("s", "2.0.0")})),
    "bundle": ("v", ("a{sv}", {"format": ("s", "verity"), "verity-size": ("t", 4096)})),
    "images": ("v", ("aa{sv}", [{"slot-class": ("s", "system"), "size": ("t", 5), "hooks": ("as", [])}])),
    "meta": ("v", ("a{sa{ss}}", {"allegro": {"notes": "Line 1\nLine 2"}})),
}

SLOTS = [
    ("rootfs.0", {"bootname": ("s", "slot-a"), "status": ("s", "ok")}),
    ("rootfs.1", {"bootname": ("s", "slot-b"), "status": ("s", "pending")}),
    ("factory.0", {"bootname": ("s", "factory")}),
]


def signal(connection: DBusConnection, result: int) -> None:
    emitter = DBusAddress("/", interface=INTERFACE)
    connection.send(new_signal(emitter, "Completed", "i", (result,)))


def answer(connection: DBusConnection, message: Message) -> None:
    member = message.header.fields[HeaderFields.member]
    reply: Message
    if member == "Get":
        signature, value = properties[message.body[1]]
        reply = new_method_return(message, "v", ((signature, value),))
        # Each question brings the installation further.
        percent = properties["Progress"][1][0]
        if properties["Operation"][1] == "installing" and message.body[1] == "Progress":
            properties["Progress"] = ("(isi)", (percent + 40, "Copying", 2))
            if percent >= 80 and not properties["LastError"][1].startswith("stuck"):
                properties["Operation"] = ("s", "idle")
                signal(connection, 1 if properties["LastError"][1] else 0)
            elif percent >= 80:
                properties["Operation"] = ("s", "idle")  # as if it had been started anew
    elif member == "InspectBundle":
        if message.body[0].endswith("bad.raucb"):
            reply = new_error(message, FAILED, "s", ("signature verification failed: no",))
        else:
            reply = new_method_return(message, "a{sv}", (MANIFEST,))
    elif member == "GetSlotStatus":
        reply = new_method_return(message, "a(sa{sv})", (SLOTS,))
    elif member == "InstallBundle":
        properties["Operation"] = ("s", "installing")
        properties["Progress"] = ("(isi)", (0, "Checking", 1))
        name = message.body[0]
        properties["LastError"] = ("s", "Installation error: boom" if "fails" in name else "")
        if "stuck" in name:
            properties["LastError"] = ("s", "stuck")
        reply = new_method_return(message)
    elif member == "Mark":
        reply = new_method_return(message, "ss", (message.body[1], f"marked {message.body[0]}"))
        if message.body[0] == "bad":
            reply = new_error(message, FAILED, "s", ("no such slot",))
    else:
        reply = new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "s", (member,))
    connection.send(reply)


def main() -> None:
    connection = open_dbus_connection(sys.argv[1])
    Proxy(message_bus, connection).RequestName(NAME)
    print("ready", flush=True)
    end = time.monotonic() + 120
    while time.monotonic() < end:
        message = connection.receive(timeout=120)
        if message.header.message_type == MessageType.method_call:
            answer(connection, message)


if __name__ == "__main__":
    main()
