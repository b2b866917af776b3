"""A device for tests of the API: the real parts in a folder of their own, but no recorder and no server."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from allegro.api.app import create_app
from allegro.api.asker import OWNER
from allegro.api.device import Device
from allegro.api.network import NetworkParts
from allegro.api.presenters import PresenterParts
from allegro.capture.extraction.seen_values import seen_values
from allegro.capture.extraction.traffic import of_ring
from allegro.capture.status import PortStatus, RecorderStatus, RingStatus
from allegro.errors import Unavailable
from allegro.events.event_list import EventList
from allegro.export.queue import UploadQueue
from allegro.export.uploads import ExportService
from allegro.firmware.device_around import Surroundings as FirmwareSurroundings
from allegro.firmware.disk_install import Installer
from allegro.firmware.rauc import Rauc
from allegro.firmware.update import FirmwareService
from allegro.network import links
from allegro.network import ports as port_rules
from allegro.network.overview import Address, Interface, Interfaces, Port
from allegro.network.ports import NetworkDevice
from allegro.network.temporary_address import Claim
from allegro.notify.notifier import Notifier
from allegro.packets.packet_sources import PacketSources
from allegro.packets.packet_views import PacketViews
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.past_changes import PastChanges
from allegro.settings.settings_file import SettingsStore
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare
from allegro.storage.disk_formatter import Formatter
from allegro.storage.disk_health import DiskHealth
from allegro.storage.disks import Disk
from allegro.storage.known_disks import KnownDisks
from allegro.storage.ring_care import RingCare
from allegro.storage.used_disk import Use, UsedDisk
from allegro.storage.volumes import Volume, ring_objection
from allegro.supervisor.changes import Applier, SettingsChanger
from allegro.system.actions import Actions
from allegro.system.bmc import Bmc, Run, Said
from allegro.system.clock import read_state
from allegro.system.health import Problem
from allegro.system.journal import CHOICES, Entry
from allegro.system.set_up import SetUp
from allegro.trigger.beep import Player, SoundCard
from allegro.trigger.cutter import Cutter
from allegro.trigger.jobs import JobStore
from allegro.trigger.learning import Learning, UsbInput
from allegro.trigger.live_streams import LiveStreams
from allegro.trigger.service import Triggers
from allegro.trigger.surroundings import Surroundings
from tests.unit.network import wifi_bench
from tests.unit.storage.playing_disks import VOLUMES, PlayingMounts, make_ring_folder

DISKS = (
    Disk("sda", "/dev/sda", 8 * 10**9, model="Stick", transport="usb", removable=True),
    Disk("nvme0n1", "/dev/nvme0n1", 256 * 10**9, model="SSD", transport="nvme", holds=("old (ntfs)",)),
)


MANAGEMENT_PORT = Port(
    "mgmt0", "management", "wired", "02:00:00:00:34:56", "e1000", "pci/1", True, True, 1000, 1500, ""
)
MEASURING_PORT = Port("port1", "measuring", "", "02:00:00:00:34:57", "", "", False, False, None, None, "")
LINKED_PORTS = [
    Port(
        *(f"port{number}", "measuring", "wired", f"02:00:00:00:34:{number:02}", "igb", f"pci/{number}"),
        *(True, number == 1, 1000 if number == 1 else None, 1500, "br1"),
    )
    for number in (1, 2)
]


@dataclass
class Bench:
    """The app, and what a test may turn on it."""

    paths: Paths
    app: ASGIApp
    settings: SettingsStore
    jobs: JobStore
    recorder: RecorderStatus | None
    actions: Actions
    wifi: wifi_bench.Bench
    remaining_s: float | None = None
    asked: list[object] = field(default_factory=list)
    ports: list[Port] = field(default_factory=lambda: [MANAGEMENT_PORT, MEASURING_PORT])
    addresses_unknown_since_ns: int | None = None
    claim: Claim | None = field(default_factory=lambda: Claim("192.168.77.1/24"))
    ipmitool: Run = lambda _arguments: Said(1, "", "no BMC")
    problems: list[Problem] = field(default_factory=list)
    power: list[str] = field(default_factory=list)
    resets: list[list[str]] = field(default_factory=list)
    clock_is_kept: bool = True
    clock_set: list[int] = field(default_factory=list)
    notifier: Notifier | None = None
    usb_inputs: list[UsbInput] = field(default_factory=list)
    learning: Learning = field(default_factory=lambda: Learning(None, None))
    sound_cards: list[SoundCard] = field(default_factory=list)
    plugged_in: set[str] = field(default_factory=lambda: {"5f3a-stick"})
    volumes: Sequence[Volume] = field(default_factory=lambda: VOLUMES)
    disks: list[Disk] = field(default_factory=list)

    def learn(self, seconds: float) -> None:
        """Waits for a key; a test sets what is heard."""
        self.learning = Learning(seconds, None)

    def forget(self) -> None:
        """Waits no longer."""
        self.learning = Learning(None, None)

    def add_bmc(self, ipmitool: Run) -> None:
        """The machine has a BMC that answers so."""
        (self.paths.run / "ipmi0").touch()
        self.ipmitool = ipmitool

    def reassign(self, names: Mapping[str, str]) -> None:
        """Judges other names of ports as a device does, and remembers them."""
        present = [NetworkDevice(one.name, "wired", one.place, one.key) for one in self.ports if one.present]
        port_rules.reassigned(present, names)
        self.asked.append(dict(names))

    def take_address(self, claim: Claim) -> Claim:
        """Claims a temporary address."""
        self.claim = claim
        return claim

    def release_address(self) -> None:
        """Gives it back."""
        self.claim = None
        self.asked.append("release")

    def call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """One request."""

        async def request() -> httpx.Response:
            transport = httpx.ASGITransport(as_root(self.app), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://device") as client:
                content = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
                kind = {} if body is None else {"Content-Type": "application/json"}
                return await client.request(
                    method, f"/api{path}", content=content, headers={**kind, **(headers or {})}
                )

        return asyncio.run(request())

    def get(self, path: str) -> Any:
        """A GET that succeeds."""
        response = self.call("GET", path)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, status: int, method: str, path: str, body: object = None) -> dict[str, str]:
        """The error of a request that fails; checks its shape."""
        response = self.call(method, path, body)
        assert response.status_code == status, response.text
        assert response.json().keys() == {"error"}
        error: dict[str, str] = response.json()["error"]
        assert error.keys() == {"message", "place", "remedy"}
        assert error["message"].endswith(".")
        assert "Traceback" not in response.text
        return error


def as_root(app: ASGIApp) -> ASGIApp:
    """What the server says of a connection that root has made."""

    async def connected(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {OWNER: True}}, receive, send)

    return connected


LOG = (
    Entry(1_795_271_405_000_000_001, "info", "allegro-supervisor", "Ready"),
    Entry(1_795_271_406_000_000_000, "error", "kernel", "<disk> \x1b[31mfailed"),
    Entry(1_795_271_407_000_000_000, "warning", "allegro-web", "slow"),
)


def recording() -> RecorderStatus:
    """A recorder that works."""
    now = time.time_ns()
    return RecorderStatus(
        time_ns=now,
        state="recording",
        complete_through_ns=now,
        ring=RingStatus(size=1 << 30, used=1 << 20, oldest_ns=now - 60_000_000_000, newest_ns=now, packets=7),
        ports=(PortStatus("port1", 1, True, packets=7, drops=2, nic_missed=1),),
        packets=7,
        drops=2,
        nic_missed=1,
        reach_back_s=60.0,
    )


def no_updates(paths: Paths, actions: Actions) -> FirmwareService:
    """Firmware of a machine that was not started from a slot, and has no RAUC."""

    def none() -> Any:
        raise Unavailable("This system cannot be updated: it has no slots for firmware.")

    around = FirmwareSurroundings(
        version="1.2.3",
        slot=None,
        boot_id="this-run",
        authority=none,
        installer=Rauc("unix:path=/nowhere"),
        server=none,
        look=lambda _slot: None,
        slot_size=lambda _slot: 0,
    )
    return FirmwareService(paths.firmware, around, actions)


def make_bench(
    folder: Path,
    updates: Callable[[Path, Actions], FirmwareService] | None = None,
    live_command: Sequence[str] = (sys.executable, "-c", ""),
) -> Bench:
    """A device in `folder`; its cutter does not run, so jobs stay accepted.

    `updates` makes the firmware updates from the folder of firmware files, `live_command` a live capture.
    """
    paths = Paths(folder / "data", folder / "run")
    for directory in (paths.state, paths.upload, paths.ring, paths.run):
        directory.mkdir(parents=True)
    settings = SettingsStore(paths.settings)
    jobs = JobStore(paths.database)
    export = ExportService(
        UploadQueue(paths.upload, paths.database),
        lambda: settings.current.export,
        paths.ssh,
        "allegro-mm-3456",
    )
    around = Surroundings(
        ring=paths.ring,
        recorder_status=paths.recorder_status,
        storage=paths.storage,
        upload=paths.upload,
        to_upload=lambda: False,
        recorder=lambda: bench.recorder,
        estimate=lambda _start, _end: 0,
        facts=dict,
        ports=lambda: ["port1", "port2"],
        groups=lambda: settings.current.groups.texts,
        play=lambda _signal: None,
        on_complete=lambda _job: None,
        command=(sys.executable, "-c", ""),
    )
    cutter = Cutter(jobs, around)
    actions = Actions()
    wifi = wifi_bench.Bench()
    installer = Installer(actions, disks=lambda: DISKS, running=lambda: "sda")
    network = NetworkParts(
        settings=lambda: settings.current,
        name=lambda: "allegro-mm-3456",
        ports=lambda: bench.ports,
        interfaces=lambda names: Interfaces(
            tuple(Interface(name, (Address("192.0.2.7/24", "DHCPv4"),), ("192.0.2.1",)) for name in names),
            bench.addresses_unknown_since_ns,
        ),
        remaining_s=lambda: bench.remaining_s,
        taken_back=lambda: "",
        confirm=lambda: bench.asked.append("confirm"),
        take_back=lambda: bench.asked.append("take back"),
        reassign=lambda names: bench.reassign(names),
        temporary=lambda: bench.claim,
        claim=lambda dhcp_server: bench.take_address(Claim("192.168.77.2/24", dhcp_server)),
        release=lambda: bench.release_address(),
        blink=lambda name, seconds: bench.asked.append((name, seconds)),
    )
    events = EventList(paths.events)
    notifier = Notifier(paths.notifications, lambda: settings.current, lambda: "allegro-mm-3456")
    events.follow(notifier.hear)
    disk = UsedDisk(
        *(
            paths.disk,
            lambda: settings.current.storage.device,
            lambda: bench.volumes,
            mounts := PlayingMounts(),
        ),
        *(lambda uuid: uuid in bench.plugged_in, lambda _device: mounts.mounted in bench.plugged_in),
    )
    known = KnownDisks(
        paths.known_disks,
        lambda: {
            "captures": settings.current.storage.device,
            "ring": settings.current.recording.ring_disk,
        },
        lambda uuid: uuid in bench.plugged_in,
        lambda: 1_795_271_406_000_000_000,
    )
    ring_mounts = PlayingMounts()
    ring_disk = RingCare(
        UsedDisk(
            *(paths.ring_disk, lambda: settings.current.recording.ring_disk, lambda: bench.volumes),
            *(ring_mounts, lambda uuid: uuid in bench.plugged_in),
            lambda _device: ring_mounts.mounted in bench.plugged_in,
            use=Use("the packet ring buffer", "allegro-ring", make_ring_folder, ring_objection),
        ),
        lambda: settings.current,
        lambda: None,
        lambda: bench.recorder,
        lambda: len(jobs.unfinished()),
    )
    disks = DiskCare(disk, FileStore(paths.storage), jobs, lambda: None, known)

    def bench_output(card: SoundCard, sound: bytes) -> None:
        bench.asked.append((card, sound))

    past_changes = PastChanges(paths.past_changes)

    def ring_goes(_: Settings) -> None:
        if bench.recorder is not None and bench.recorder.ring is not None:
            there = str(ring_disk.directory() or paths.ring)
            bench.recorder = replace(bench.recorder, ring=replace(bench.recorder.ring, directory=there))

    goes = Applier(("recording",), ring_goes)

    def check_pairs(old: Settings, new: Settings) -> None:
        links.check_pairs(old.links, new.links, [port.name for port in bench.ports])

    change = SettingsChanger(settings, (goes,), (check_pairs,), note=past_changes.note)
    device = Device(
        name=lambda: "allegro-mm-3456",
        system_id="5764fb6b-9bdf-48c3-a4d6-bb8107beb0c5",
        firmware="1.2.3",
        settings=lambda: settings.current,
        change_settings=change,
        try_settings=change.tried,
        past_changes=past_changes,
        triggers=Triggers(jobs, cutter, around, lambda: settings.current.trigger),
        jobs=jobs,
        cutter=cutter,
        live=LiveStreams(around, live_command),
        packets=PacketViews(PacketSources(around, paths.cut_packets), paths.dissectors, lambda: "UTC"),
        recorder=lambda: bench.recorder,
        restart_recorder=lambda: bench.asked.append("restart recording"),
        machine_facts=lambda: [("version.txt", b"Allegro 1.2.3\n")],
        traffic=partial(of_ring, paths.ring),
        seen=partial(seen_values, paths.ring),
        presenters=lambda: ["Logitech R400"],
        inputs=PresenterParts(
            settings=lambda: settings.current,
            connected=tuple,
            inputs=lambda: bench.usb_inputs,
            learn=lambda seconds: bench.learn(seconds),
            forget=lambda: bench.forget(),
            learning=lambda: bench.learning,
            last=jobs.last_press,
            player=Player(lambda: True, find=lambda: bench.sound_cards, output=bench_output),
        ),
        storage=FileStore(paths.storage),
        upload=FileStore(paths.upload),
        sent=FileStore(paths.sent),
        disks=disks,
        formatter=Formatter(actions, disks, lambda: "sda", disks=lambda: bench.disks),
        ring_disk=ring_disk,
        disk_health=DiskHealth(paths.disk_health, dict, lambda: bench.asked.append("health")),
        export=export,
        updates=updates(paths.firmware, actions) if updates else no_updates(paths, actions),
        actions=actions,
        wifi=wifi.care,
        power=lambda action: bench.power.append(action),
        restart_without_data=lambda: bench.asked.append("rescue"),
        reset_configuration=lambda keep: bench.resets.append(list(keep)),
        installer=installer,
        network=network,
        bmc=Bmc(lambda arguments: bench.ipmitool(arguments), paths.run / "ipmi0"),
        clock=lambda: read_state(
            settings.current.time,
            "+0000",
            {"ServerName": "ntp.example"},
            synchronised=bench.clock_is_kept,
        ),
        set_clock=lambda ns: bench.clock_set.append(ns),
        problems=lambda: bench.problems,
        events=events,
        notifier=notifier,
        set_up=SetUp(paths.set_up),
        log=lambda limit, level: [
            entry for entry in LOG if CHOICES.index(entry.level) <= CHOICES.index(level)
        ][-limit:],
    )
    bench: Bench = Bench(
        *(paths, create_app(device), settings, jobs, recording(), actions, wifi), notifier=notifier
    )
    return bench
