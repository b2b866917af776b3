"""Puts the parts of the device together, runs them, and stops them in order."""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from allegro.capture.extraction.traffic import of_ring
from allegro.capture.extraction.yielding import Courtesy
from allegro.capture.status import RecorderStatus, memory_beside, ring_in_force
from allegro.errors import Unavailable
from allegro.events.event_list import EventList
from allegro.events.event_rules import open_problems
from allegro.export.chosen_way import server_name
from allegro.export.queue import UploadQueue
from allegro.export.uploads import ExportService
from allegro.filters.fields import Field
from allegro.firmware.daily import DailyCheck
from allegro.firmware.disk_install import Installer, running_disk
from allegro.firmware.update import FirmwareService
from allegro.network.link_events import LinkEvents
from allegro.network.wifi_care import WifiCare
from allegro.network.wifi_system import WifiSystem
from allegro.notify.notifier import Notifier
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.past_changes import PastChanges
from allegro.settings.settings_file import SettingsStore
from allegro.slow_look import SlowLook
from allegro.storage import host_mounting, mounting, ring_folder
from allegro.storage.capture_files import FileStore
from allegro.storage.disk_care import DiskCare, devices, is_present, is_still_there, read_volumes
from allegro.storage.disk_health import DiskHealth, present_disks
from allegro.storage.disks import read_disks
from allegro.storage.known_disks import KnownDisks, Task
from allegro.storage.ring_care import RingCare
from allegro.storage.room import Room
from allegro.storage.uploaded import dispose
from allegro.storage.used_disk import CAPTURES, Use, UsedDisk
from allegro.storage.volumes import objection, ring_objection
from allegro.supervisor.announcing import Announcer
from allegro.supervisor.changes import Applier, SettingsChanger
from allegro.supervisor.data import data_problem
from allegro.supervisor.filter_check import check_filter
from allegro.supervisor.first_passwords import FirstPasswords, OwnWifiPassword, check_wifi_password
from allegro.supervisor.health_watch import Watch
from allegro.supervisor.kept_files import KeptFiles, event_problems, firmware_events
from allegro.supervisor.listener import bind
from allegro.supervisor.networking import Networking
from allegro.supervisor.not_ours import no_clock, no_disks, no_power, no_recorder
from allegro.supervisor.parts import Parts
from allegro.supervisor.presenters import Presenters
from allegro.supervisor.recorder_process import (
    RECORDER_USER,
    check_ring_size,
    last_status,
    live_status,
    restart,
)
from allegro.supervisor.rescue import restart_without_data
from allegro.supervisor.reset_orders import Resets
from allegro.supervisor.ring_size import RingSize
from allegro.supervisor.shortcut_actions import Shortcuts
from allegro.supervisor.update_surroundings import surroundings
from allegro.system import boottime, clock, journal
from allegro.system.actions import Actions
from allegro.system.bmc import Bmc
from allegro.system.identity import Identity, system_id
from allegro.system.kept_time import TimeKeeper, is_believable
from allegro.system.machine_facts import machine_facts
from allegro.system.notify import notify
from allegro.system.power import power
from allegro.trigger.beep import Player
from allegro.trigger.cutter import Cutter
from allegro.trigger.estimate import ring_estimate
from allegro.trigger.job import Job
from allegro.trigger.jobs import JobStore, RefusingJobStore
from allegro.trigger.keys import models
from allegro.trigger.press import Press
from allegro.trigger.service import Triggers
from allegro.trigger.surroundings import Surroundings
from allegro.version import own_version

log = logging.getLogger(__name__)


def run(paths: Paths, *, with_network: bool) -> None:
    """Runs the supervisor until SIGTERM or SIGINT. Without `with_network` it leaves network devices alone.

    Raises AllegroError if another supervisor is running.
    """
    parts = Parts()
    actions = Actions()
    paths.run.mkdir(parents=True, exist_ok=True)
    listener = bind(paths.api_socket)
    parts.start("storage", lambda: make_directories(paths))
    kept = KeptFiles(paths)
    parts.start("kept files", kept.look)
    events = EventList(paths.events, lambda: firmware_events(paths))
    settings = SettingsStore(paths.settings)
    if settings.problem:
        log.error("%s", settings.problem)
    identity = Identity(_system_id(paths, parts), own_version())
    notifier = Notifier(paths.notifications, lambda: settings.current, lambda: identity.name)
    events.follow(notifier.hear)
    announcer = Announcer(events, lambda: server_name(settings.current.export))
    jobs = job_store(paths)
    player = Player(
        lambda: settings.current.trigger.beep, amplitude=lambda: settings.current.trigger.volume / 100
    )
    export = ExportService(
        UploadQueue(paths.upload, paths.database),
        lambda: settings.current.export,
        paths.ssh,
        identity.name,
        clock_is_believable=lambda: is_believable(paths.clock_was_behind),
        dispose=lambda file: dispose(file, paths.sent, settings.current.storage.uploaded),
        on_sent=announcer.sent,
    )
    room = Room(
        (FileStore(paths.storage), FileStore(paths.upload)),
        FileStore(paths.sent),
        lambda: settings.current.storage,
    )

    disk = UsedDisk(
        *(paths.disk, lambda: settings.current.storage.device, lambda: read_volumes(running_disk)),
        *(mounting, is_present, is_still_there),
        changes=devices,
        use=replace(CAPTURES, objection=partial(objection, uses=own_places(paths))),
    )
    breathe = Courtesy(paths.recorder_status).breathe
    known = KnownDisks(paths.known_disks, lambda: disk_tasks(settings.current), is_present)
    disk_care = DiskCare(disk, FileStore(paths.storage), jobs, breathe, known)
    disk_health = DiskHealth(paths.disk_health, present_disks)
    keeper = TimeKeeper(paths.kept_time)

    def set_clock(wanted_ns: int) -> None:
        clock.set_by_hand(wanted_ns, clock.state(settings.current.time))
        keeper.keep()
        paths.clock_was_behind.unlink(missing_ok=True)

    def complete(job: Job) -> None:
        export.notify()
        disk_care.notify()
        announcer.complete(job)

    def recorder() -> RecorderStatus | None:
        return live_status(paths.recorder_status)

    def ring() -> Path:
        return ring_in_force(paths.recorder_status, paths.ring)

    def values_seen() -> Mapping[Field, Sequence[str]]:
        from allegro.capture.extraction.seen_values import seen_values  # for the first filter

        return seen_values(ring())

    # Asked while somebody types: once for some keys, and not longer than that is no nuisance.
    seen = SlowLook("values seen", values_seen, wait_s=0.5, kept_s=10.0)

    def estimate(start_ns: int, end_ns: int) -> int:
        in_force = ring()
        return ring_estimate(in_force, memory_beside(paths.recorder_status, in_force))(start_ns, end_ns)

    around = Surroundings(
        ring=paths.ring,
        recorder_status=paths.recorder_status,
        storage=paths.storage,
        upload=paths.upload,
        to_upload=lambda: settings.current.export.enabled,
        recorder=recorder,
        estimate=estimate,
        facts=identity.facts,
        ports=lambda: _port_names(paths),
        groups=lambda: settings.current.groups.texts,
        play=player.play,
        sent=paths.sent,
        room=room.problem,
        on_complete=complete,
        on_failed=announcer.failed,
        ring_is_awaited=lambda: ring_care.is_awaited(),
        boot_id=boottime.boot_id(),
    )
    cutter = Cutter(jobs, around)
    triggers = Triggers(jobs, cutter, around, lambda: settings.current.trigger)
    ring_disk = UsedDisk(
        *(paths.ring_disk, lambda: settings.current.recording.ring_disk, lambda: read_volumes(running_disk)),
        *(host_mounting, is_present, is_still_there),
        changes=devices,
        use=Use(
            "the packet ring buffer",
            ring_folder.FOLDER,
            lambda top: ring_folder.prepare(top, identity.system_id, RECORDER_USER),
            partial(ring_objection, uses=own_places(paths)),
        ),
        readers_leave_s=15.0,  # a live capture follows the recorder to the other ring within a few
    )
    ring_care = RingCare(
        ring_disk,
        lambda: settings.current,
        lambda: ring_size.apply(settings.current),
        recorder,
        lambda: len(jobs.unfinished()),
        lambda: ring_size.waits_for(),
    )
    ring_size = RingSize(paths, jobs.unfinished, on_disk=ring_care.directory)

    def on_presses(presses: Sequence[Press]) -> None:
        triggers.on_keys(presses)
        for press in presses:
            events.note("press", f"Pressed {press.key}", source=press.device)

    presenters = Presenters(settings, on_presses)
    updates = FirmwareService(
        paths.firmware, surroundings(identity.firmware, lambda: settings.current.firmware, recorder), actions
    )
    control = power if with_network else no_power
    resets = Resets(paths, actions, control, updates.update_to_newest, note=events.note)
    daily = DailyCheck(
        lambda: bool(settings.current.firmware.server) and settings.current.firmware.check_daily,
        lambda: announcer.look_for_firmware(updates),
    )
    own_password = OwnWifiPassword(paths.wifi_had_own_password, settings, paths.settings)
    first_passwords = FirstPasswords(
        paths.users, paths.had_users, lambda: settings.current, lambda: own_password.is_lost
    )
    wifi = WifiCare(
        lambda: settings.current,
        lambda: identity.name,
        WifiSystem(paths.run),
        LinkEvents,
        lambda: own_password.is_lost,
    )
    network = Networking(
        paths,
        settings,
        actions,
        lambda old: change.put_back(old),
        lambda: wifi.has_adapter,
        controls=with_network,
    )
    watch = Watch(
        paths,
        parts,
        settings,
        jobs,
        export,
        presenters.connected,
        updates.fall_back,
        wifi.problem,
        lambda: network.safe.taken_back,
        network.safe.remaining_s,
        lambda: (*kept.problems(), *event_problems(events)),
        ring_size.waits_for,
        first_passwords.left,
        notifier.problems,
        note=events.note,
        room=room,
        told_before=lambda: open_problems(events.all()),
        capture_disk=disk_care.problem,
        ring_disk=ring_care.problem,
        failing_disks=disk_health.failing,
    )
    past_changes = PastChanges(paths.past_changes)
    change = SettingsChanger(
        settings,
        (
            Applier(("recording", "groups"), ring_size.apply),  # rules may ask for a link group
            Applier(("trigger",), lambda _new: presenters.refresh()),
            Applier(("export",), lambda _new: export.notify()),
            Applier(("notifications",), lambda _new: notifier.settings_changed()),
            Applier(("storage",), lambda _new: disk_care.notify()),
            Applier(("firmware",), lambda _new: updates.forget_check()),
            *network.appliers(),
            Applier(("wifi",), own_password.apply),
            Applier(("wifi", "management"), wifi.apply),  # the name of the device is that of its network
        ),
        (
            lambda old, new: check_ring_size(old, new, paths.ring),
            lambda old, new: check_filter(old, new, _port_names(paths)),
            check_wifi_password,
            network.check_pairs,
        ),
        network.safe if with_network else None,
        past_changes.note,
    )
    # The API takes longest to start, because of what it imports. Presses count from before that.
    parts.start("events", lambda: _started(events.start, events.stop))
    parts.start("notifications", lambda: _started(notifier.start, notifier.stop))
    parts.start("sound", lambda: _started(player.start, player.stop))
    parts.start("cutter", lambda: _started(cutter.start, cutter.stop))
    if with_network:
        parts.start("disk for the packet ring", lambda: _started(ring_care.start, ring_care.stop))
    parts.start("ring size", lambda: _started(lambda: ring_size.start(settings.current), ring_size.stop))
    parts.start("USB presenter", presenters.start)
    if with_network:
        parts.start("kept time", lambda: _started(keeper.start, keeper.stop))
        parts.start("network", network.start)
        parts.start("WiFi", lambda: _started(wifi.start, wifi.stop))
    if with_network:
        parts.start("disk for captures", lambda: _started(disk_care.start, disk_care.stop))
        parts.start("health of the disks", lambda: _started(disk_health.start, disk_health.stop))
    parts.start("export", lambda: _started(export.start, export.stop))
    parts.start("firmware updates", lambda: _started(updates.start, updates.stop))
    parts.start("resets", resets.after_start)
    if with_network:

        def reset() -> None:
            events.note("reset", "Configuration reset ordered (Shift+R)", source="keyboard")
            resets.by_shortcut()

        def claim() -> None:
            events.note("network", "Temporary address asked for (Shift+S)", source="keyboard")
            network.claim()

        shortcuts = Shortcuts({"reset": reset, "temporary-address": claim})
        parts.start("keyboard", lambda: shortcuts.start(lambda: models(settings.current.trigger.presenters)))
    parts.start("look for firmware", lambda: _started(daily.start, daily.stop))
    parts.start("health check", lambda: _started(watch.start, watch.stop))
    try:
        from allegro.api.app import create_app
        from allegro.api.device import Device
        from allegro.packets.packet_sources import PacketSources
        from allegro.packets.packet_views import PacketViews
        from allegro.storage.disk_formatter import Formatter
        from allegro.supervisor.api_server import serve
        from allegro.supervisor.inputs_care import presenter_parts
        from allegro.system.set_up import SetUp
        from allegro.trigger.live_streams import LiveStreams

        device = Device(
            name=lambda: identity.name,
            system_id=identity.system_id,
            firmware=identity.firmware,
            settings=lambda: settings.current,
            change_settings=change,
            try_settings=change.tried,
            past_changes=past_changes,
            triggers=triggers,
            jobs=jobs,
            cutter=cutter,
            live=LiveStreams(around),
            packets=PacketViews(
                PacketSources(around, paths.cut_packets),
                *(paths.dissectors, lambda: settings.current.time.zone),
            ),
            recorder=recorder,
            restart_recorder=restart if with_network else no_recorder,
            machine_facts=machine_facts,
            traffic=lambda start_ns, end_ns, steps: of_ring(ring(), start_ns, end_ns, steps),
            seen=lambda: seen.latest().value or {},
            presenters=lambda: [each.name for each in presenters.connected()],
            inputs=presenter_parts(lambda: settings.current, presenters.connected, jobs, player),
            storage=FileStore(paths.storage),
            upload=FileStore(paths.upload),
            sent=FileStore(paths.sent),
            disks=disk_care,
            disk_health=disk_health,
            ring_disk=ring_care,
            formatter=Formatter(
                actions,
                disk_care,
                running_disk,
                disks=read_disks if with_network else no_disks,
                other_users=(ring_disk,),
            ),
            export=export,
            updates=updates,
            actions=actions,
            wifi=wifi,
            power=control,
            restart_without_data=lambda: restart_without_data(lambda: data_problem(paths.data), control),
            reset_configuration=resets.configuration,
            installer=Installer(actions),
            network=network.parts(),
            bmc=Bmc(),
            clock=lambda: clock.state(settings.current.time),
            set_clock=set_clock if with_network else no_clock,
            problems=watch.problems,
            log=journal.read,
            events=events,
            notifier=notifier,
            set_up=SetUp(paths.set_up),
        )

        def hung() -> str:
            with contextlib.suppress(Unavailable):  # a list that the disk does not give is told, and no hang
                jobs.recent(1)  # blocks if a thread holds the list of captures and does not get on
            return "USB presenter" if presenters.hung() else ""

        serve(create_app(device), listener, _ready, hung)
    finally:
        notify("STOPPING=1")
        log.info("Stopping")
        parts.stop()
        jobs.close()
        paths.api_socket.unlink(missing_ok=True)


def own_places(paths: Paths) -> Mapping[str, str]:
    """What it means that a file system is mounted where the device mounts its disks."""
    return {
        str(paths.disk): "Captures go to it.",
        str(paths.ring_disk): "The packet ring buffer lies on it.",
    }


def disk_tasks(settings: Settings) -> Mapping[Task, str]:
    """Which file system is for what; empty: none."""
    return {"captures": settings.storage.device, "ring": settings.recording.ring_disk}


def job_store(paths: Paths) -> JobStore:
    """The list of captures; if it cannot be opened, one that refuses every press and says why."""
    try:
        return JobStore(paths.database)
    except Exception as error:  # whatever the disk makes of it, the other parts go on
        log.error("The list of captures cannot be opened: %s", error)
        wrong = data_problem(paths.data)
        reason = f"The data partition cannot be used: {wrong}" if wrong else "Its list cannot be opened."
        return RefusingJobStore(reason)


def _ready() -> None:
    notify("READY=1")
    log.info("Ready")


def _started(start: Callable[[], None], stop: Callable[[], None]) -> Callable[[], None]:
    start()
    return stop


def make_directories(paths: Paths) -> None:
    """Those that everything else takes for granted. Raises Unavailable."""
    try:
        for directory in (paths.state, paths.storage, paths.upload, paths.sent):
            directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise Unavailable(f"The file {directory.name} is where a directory belongs. Rename it.") from error
    except OSError as error:
        raise Unavailable(f"{error.strerror}.") from error


def _system_id(paths: Paths, parts: Parts) -> str:
    try:
        return system_id(paths.system_id)
    except OSError as error:
        log.error("The system id cannot be kept: %s", error)
        parts.fail("system id", f"{error.strerror}.")
        return ""


def _port_names(paths: Paths) -> list[str]:
    status = last_status(paths.recorder_status)
    return [port.name for port in status.ports] if status is not None else []
