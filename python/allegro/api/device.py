"""What the API is given: the parts of the device that it shows and controls."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from allegro.api.configuration import Try
from allegro.api.log import ReadLog
from allegro.api.network import NetworkParts
from allegro.api.presenters import PresenterParts
from allegro.api.ring import ReadTraffic
from allegro.api.settings import Change
from allegro.capture.status import RecorderStatus
from allegro.events.event_list import EventList
from allegro.export.uploads import ExportService
from allegro.filters.completion import Seen
from allegro.firmware.disk_install import Installer
from allegro.firmware.update import FirmwareService
from allegro.network.wifi_care import WifiCare
from allegro.notify.notifier import Notifier
from allegro.packets.packet_views import PacketViews
from allegro.settings.model import Settings
from allegro.settings.past_changes import PastChanges
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare
from allegro.storage.disk_formatter import Formatter
from allegro.storage.disk_health import DiskHealth
from allegro.storage.ring_care import RingCare
from allegro.system.actions import Actions
from allegro.system.bmc import Bmc
from allegro.system.clock import ClockState
from allegro.system.health import Problem
from allegro.system.power import Action as PowerAction
from allegro.system.set_up import SetUp
from allegro.trigger.cutter import Cutter
from allegro.trigger.jobs import JobStore
from allegro.trigger.live_streams import LiveStreams
from allegro.trigger.service import Triggers


@dataclass(frozen=True)
class Device:
    """`recorder` answers with None when the recorder is silent, `presenters` with those plugged in.

    Everything may be called from several threads at once.
    """

    name: Callable[[], str]
    system_id: str
    firmware: str
    settings: Callable[[], Settings]
    change_settings: Change
    try_settings: Try
    past_changes: PastChanges
    triggers: Triggers
    jobs: JobStore
    cutter: Cutter
    live: LiveStreams
    packets: PacketViews
    recorder: Callable[[], RecorderStatus | None]
    restart_recorder: Callable[[], None]
    machine_facts: Callable[[], Sequence[tuple[str, bytes]]]
    traffic: ReadTraffic
    seen: Seen
    presenters: Callable[[], Sequence[str]]
    inputs: PresenterParts
    storage: FileStore
    upload: FileStore
    sent: FileStore
    disks: DiskCare
    formatter: Formatter
    disk_health: DiskHealth
    ring_disk: RingCare
    export: ExportService
    updates: FirmwareService
    actions: Actions
    wifi: WifiCare
    power: Callable[[PowerAction], None]
    restart_without_data: Callable[[], None]
    reset_configuration: Callable[[Iterable[str]], None]
    installer: Installer
    network: NetworkParts
    bmc: Bmc
    clock: Callable[[], ClockState]
    set_clock: Callable[[int], None]
    problems: Callable[[], Sequence[Problem]]
    log: ReadLog
    events: EventList
    notifier: Notifier
    set_up: SetUp
