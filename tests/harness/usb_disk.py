"""A USB disk of a machine: a file on the host, plugged in and pulled out while the guest runs."""

import subprocess
from pathlib import Path

from tests.harness.qemu import VirtualMachine


class UsbDisk:
    """One disk, in the same port of the machine's USB controller each time."""

    def __init__(self, machine: VirtualMachine, image: Path, port: int, name: str = "stick") -> None:
        """`image` is its content, a raw file; `port` 4 to 8 of the controller; `name` is for QEMU."""
        self.image = image
        self._machine = machine
        self._port = port
        self._name = name
        self._times = 0

    @property
    def _node(self) -> str:
        return f"{self._name}{self._times}"

    def make_ext4(self, uuid: str, size: int) -> None:
        """Make the file of `size` bytes, with a file system that has this id. It must not be plugged in."""
        with self.image.open("wb") as file:
            file.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-E", "root_owner=0:0", "-U", uuid, str(self.image)], check=True)

    def plug(self) -> None:
        """Plug it in; another disk for QEMU, the same one for the guest."""
        self._times += 1
        file = {"driver": "file", "filename": str(self.image)}
        self._machine.qmp("blockdev-add", **{"driver": "raw", "node-name": self._node, "file": file})
        self._machine.add_device(
            "usb-storage",
            self._name,
            drive=self._node,
            removable=True,
            bus="usb.0",
            port=str(self._port),
        )

    def pull(self) -> None:
        """Pull it out, whatever the guest is writing."""
        self._machine.remove_device(self._name)
        self._machine.qmp("blockdev-del", **{"node-name": self._node})
