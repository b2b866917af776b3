"""A device with something in every list of the page, named as long as people name things."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from allegro.network.temporary_address import Claim
from allegro.network.wifi_scan import FoundNetwork, Station
from allegro.storage.disks import Disk
from allegro.system.health import Problem
from allegro.trigger.learning import UsbInput
from allegro.trigger.press import Press
from allegro.trigger.windows import Span
from allegro.words import utc
from tests.harness.browser import BUILT
from tests.harness.conversation import conversation
from tests.harness.dissectors import dissectors
from tests.harness.sharkd import pcapng_file
from tests.unit.api.bench import LINKED_PORTS, MANAGEMENT_PORT
from tests.unit.capture.blocks import NS
from tests.unit.capture.devices import Device
from tests.unit.capture.rings import RUN, Ring
from tests.unit.firmware.bundle_making import FakeRauc, make_bundle, two_slots
from tests.unit.storage.playing_disks import FOR_THE_RING, USB_SSD, VOLUMES
from tests.unit.web.playing_bmc import PlayingBmc
from tests.unit.web.world import World

NAMED = "20261121T143005Z_presenter_next_before the firewall of building 7.pcapng"
WAITS = "20261122T080000Z_api_a.pcapng"
PACKETS = "20261121T143005Z_page_manual.pcapng"
RECORDED = f"start={utc(RUN)}&end={utc(RUN + 5 * NS)}"
NETWORKS = [
    FoundNetwork("Büro", "02:00:00:00:01:00", -41.0, 2412, 1, "wpa2"),
    FoundNetwork("A name of thirty-two characters!", "02:00:00:00:01:01", -67.0, 5180, 36, "wpa2-wpa3"),
    FoundNetwork("Company", "02:00:00:00:01:03", -82.0, 2462, 11, "enterprise"),
]
STATIONS = [Station("02:00:00:00:02:00", -48.0, 725, 120_000, 4_000_000, "Annas-Telefon", "192.168.78.117")]
SETTINGS = {
    "trigger": {
        "presenters": [
            {"vendor": "046d", "product": "c52d", "name": "Logitech R400"},
            {"vendor": "046d", "product": "c53e", "name": "Logitech Spotlight of the meeting room"},
        ],
        "rows": [
            {"name": "before the firewall", "key": "next", "filter": "interface == port1 and vlan == 7"},
            {"name": "behind", "filter": ""},
        ],
    },
    "groups": {
        "links": [
            {"name": "Firewall", "interfaces": "port1, port2", "vlans": "7, 100, 4000"},
            {"name": "Somewhere else", "interfaces": "port7"},
        ]
    },
    "recording": {
        "rules": [{"name": "Short web", "filter": "tcpPort == 443", "action": "keep", "bytes": 96}],
    },
    "export": {"host": "files.example.net", "username": "allegro", "password": "geheim", "enabled": True},
    "links": {"pairs": [{"pair": 1, "mode": "bridge"}]},
    "management": {"dns": ["192.0.2.1", "192.0.2.2"]},
    "notifications": {
        "webhook": {"enabled": True, "form": "slack", "url": "https://hooks.example/services/T0/x"}
    },
}


@contextmanager
def furnished(folder: Path) -> Iterator[World]:
    """The device, in `folder`, as long as this lasts."""
    (folder / "built").symlink_to(BUILT)
    rauc = FakeRauc()
    world = World(folder, two_slots(rauc))
    device = world.device
    device.settings.change(SETTINGS)
    _in_the_network(world)
    _on_disks(world)
    _pressed(world)
    recorded = Device(Ring(device.paths.ring))
    recorded.start(RUN - NS)
    recorded.pass_time(NS)
    recorded.record(20)
    recorded.step(3600 * NS)
    recorded.record(20)
    device.usb_inputs = [UsbInput("1bcf", "0005", "USB Optical Mouse of a long name, Inc.", ("event7",))]
    device.problems = [
        Problem("nothing", "warning", "Packets were lost in port1.", "Look at the page Packet ring buffer."),
        Problem("x", "error", "The storage device is full.", "Delete captures on the page Storage."),
    ]
    world.site.users.add("benjamin.of.a.long.name", "viewer", "correct horse battery staple")
    world.site.tokens.add("collector-of-statistics", "viewer", 365)
    device.paths.firmware.mkdir(exist_ok=True)
    make_bundle(device.paths.firmware / "allegro-2.0.0.raucb", "2.0.0")
    with dissectors(device.paths.dissectors) as running:
        yield world
        running.kill()


def _in_the_network(world: World) -> None:
    device = world.device
    device.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    device.claim = Claim("192.168.77.1/24")
    device.remaining_s = 86.0
    device.add_bmc(PlayingBmc())
    device.wifi.settings = device.settings.current
    device.wifi.system.heard = NETWORKS
    device.wifi.system.present = STATIONS
    device.wifi.care.refresh()


def _on_disks(world: World) -> None:
    device = world.device
    device.volumes = [*VOLUMES, FOR_THE_RING]
    device.disks = [
        replace(USB_SSD, holds=("RING (ext4)",)),
        Disk(
            "nvme0n1",
            "/dev/nvme0n1",
            256 * 10**9,
            model="Samsung SSD 980 PRO with a long name",
            transport="nvme",
        ),
    ]
    packets = pcapng_file([("port1", frame, len(frame)) for frame in conversation(40001)])
    for place, name in (
        ("storage", PACKETS),
        ("storage", NAMED),
        ("upload", "20261122T080000Z_api_a.pcapng"),
    ):
        (getattr(device.paths, place) / name).write_bytes(packets)


def _pressed(world: World) -> None:
    jobs = world.device.jobs
    for minutes, state in enumerate(("failed", "complete", "cutting", "accepted"), 1):
        now_ns = time.time_ns() - (5 - minutes) * 60 * NS
        (job,) = jobs.accept([Press(now_ns, "presenter", "next", "R400")], Span(1, 0), now_ns=now_ns)
        if state in ("complete", "cutting"):
            jobs.change(job.id, state="cutting", progress=0.4)
        if state == "complete":
            jobs.change(
                job.id, state=state, file=NAMED, directory="storage", packets=1234567, size=7, drops=3
            )
        if state == "failed":
            jobs.change(job.id, state=state, message="The ring holds nothing of this time.")
