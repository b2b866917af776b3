"""The firmware of the device: which versions there are, and how others come in. One change at a time."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound, Unavailable
from allegro.firmware import bundle_files, bundles, release_index
from allegro.firmware.boot_state import SLOTS, Slot, other_slot
from allegro.firmware.bundle_files import FirmwareFiles
from allegro.firmware.bundles import Bundle
from allegro.firmware.device_around import Surroundings, UpdateServer
from allegro.firmware.events import Event, Events
from allegro.firmware.inventory import Held, Inventory
from allegro.firmware.release_index import Index
from allegro.firmware.trial import Trial, TrialNote, fell_back
from allegro.firmware.verity import check_payload
from allegro.firmware.versions import compared
from allegro.system.actions import Actions, Running

ACTION = "firmware"
"""Name of all long actions here: there is only one at a time."""

FELL_BACK_SHOWN_S = 7 * 86400.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Overview:
    """Everything about the firmware. `newer`: newest version on the server, if it is newer; else empty."""

    version: str
    slot: str
    confirmed: bool
    versions: tuple[Held, ...]
    newer: str
    checked_ns: int | None
    check_problem: str


@dataclass(frozen=True)
class Check:
    """The last look at the server: when (nanoseconds since 1970), what there is, or why nobody knows."""

    time_ns: int | None = None
    found: Index | None = None
    problem: str = ""


class FirmwareService:
    """May be called from several threads. Long work runs in the caller's thread; `background` starts one."""

    def __init__(self, folder: Path, around: Surroundings, actions: Actions) -> None:
        self._files = FirmwareFiles(folder)
        self._around = around
        self._actions = actions
        self._events = Events(folder / "events.json")
        self._note = TrialNote(folder / "trial.json")
        self._busy = threading.Lock()
        self._stop = threading.Event()
        self._check = Check()
        self._servers = 0  # changes with the server's settings
        self._inventory = Inventory(self._files, around, self._busy.locked)

    # -- looking

    def start(self) -> None:
        """Judges how the last activation went, and tidies up."""
        self._files.remove_interrupted_uploads()
        self._judge_trial()

    def stop(self) -> None:
        """Ends a download that is running; what has arrived is kept."""
        self._stop.set()

    def events(self) -> list[Event]:
        """What happened, oldest first."""
        return self._events.all()

    def newer(self) -> str:
        """The newest version on the server at the last look, if newer than the running one; else empty."""
        found = self._check.found
        newest = found.offers[0].version if found is not None and found.offers else ""
        return newest if newest and compared(newest, self._around.version) == "newer" else ""

    def fall_back(self) -> str:
        """The sentence about a fall-back that is the latest thing that happened, for a week; else empty."""
        told = [event for event in self._events.all() if event.kind not in ("refused", "deleted")]
        if not told or told[-1].kind != "fell-back":
            return ""
        age_s = (time.time_ns() - told[-1].time_ns) / 1e9
        return told[-1].text if age_s < FELL_BACK_SHOWN_S else ""

    def overview(self) -> Overview:
        """All versions at hand: slots, files, server."""
        state = self._around.boot_state()
        slot = self._around.slot
        held = self._inventory.on_the_device(state)
        with_files = {each.version for each in held if each.place == "file" and not each.problem}
        found = self._check.found
        for offer in found.offers if found is not None else ():
            if offer.version not in with_files:
                held.append(self._inventory.held("server", offer.file, offer, offer.size))
        return Overview(
            version=self._around.version,
            slot=slot or "",
            confirmed=slot not in SLOTS or state.slot(slot).good,
            versions=tuple(held),
            newer=self.newer(),
            checked_ns=self._check.time_ns,
            check_problem=self._check.problem,
        )

    # -- the server

    def check(self) -> str:
        """Looks for new firmware on the server; answers with a newer version, or empty.

        Raises what `Server.index` raises, and InvalidInput if the index is not to be trusted.
        """
        now_ns = time.time_ns()
        servers = self._servers
        try:
            authority = self._around.authority()
            with self._server() as server:
                signed = server.index()
            found = release_index.parsed(release_index.verified(signed, authority.keyring, authority.purpose))
            if found.compatible != authority.compatible:
                raise InvalidInput(
                    f"The update server is for other devices ({found.compatible}).", place="firmware.server"
                )
        except AllegroError as error:
            if servers == self._servers:
                self._check = replace(self._check, time_ns=now_ns, problem=str(error))
            raise
        if servers != self._servers:
            raise Conflict("The settings of the update server changed meanwhile.", remedy="Look again.")
        before = self.newer()
        self._check = Check(now_ns, found)
        newer = self.newer()
        if newer and newer != before:
            log.info("Firmware: version %s is on the update server; %s runs.", newer, self._around.version)
        return newer

    def forget_check(self) -> None:
        """The server's settings have changed: what the old one offered does not count any more."""
        self._servers += 1
        self._check = Check()

    def check_download(self, version: str) -> None:
        """Raises NotFound if the server did not have this version at the last look."""
        if self._check.found is not None and self._check.found.offer(version) is None:
            raise _not_offered(version)

    def download(self, version: str) -> str:
        """Brings a version from the server; answers with the name of its file.

        Raises NotFound if the server does not have it, else as `check` and `Server.download` do.
        """
        with self._alone(f"Downloading firmware {version}", f"Firmware {version} is downloaded.") as running:
            return self._download(version, running)

    def _download(self, version: str, running: Running) -> str:
        self.check()
        offer = self._check.found.offer(version) if self._check.found is not None else None
        if offer is None:
            raise _not_offered(version)
        target = self._files.download_path(offer)
        self._files.clean(keep=target)
        have = target.stat().st_size if target.exists() else 0
        self._files.check_space(offer.size - have)
        text = f"Downloading firmware {version}"
        with self._server() as server:
            server.download(offer, target, lambda far: running.tell(text, far * 0.9), self._stop)
        self._take(target, offer.file, running, offer.version)
        return offer.file

    # -- files

    @contextlib.contextmanager
    def receive(self, name: str, size: int | None) -> Iterator[Callable[[bytes], None]]:
        """Takes an upload: the block is given a function that takes its parts, and the file is judged at its
        end.

        `size` in bytes, if it is known. Raises InvalidInput for a bad name or a bundle that is refused,
        Conflict; then nothing stays.
        """
        bundle_files.checked_name(name)
        with self._alone(f"Receiving {name}", f"{name} is here.") as running:
            self._files.check_space(size or 0)
            path = self._files.upload_path(name)
            try:
                with path.open("wb") as file:
                    done = 0

                    def write(part: bytes) -> None:
                        nonlocal done
                        bundle_files.write_part(file, part)
                        before, done = done, done + len(part)
                        if done >> 24 != before >> 24:  # each 16 MiB
                            self._files.check_space(max(0, (size or 0) - done))
                            running.tell(f"Receiving {name}", min(1.0, done / size) * 0.8 if size else None)

                    yield write
                self._take(path, name, running)
            finally:
                path.unlink(missing_ok=True)

    def _take(self, path: Path, name: str, running: Running, expected: str = "") -> None:
        """Judges a complete file, and gives it its name or deletes it."""
        try:
            bundle = self._inventory.inspect(path)
            if expected and bundle.version != expected:
                raise bundles.Refusal(f"It holds version {bundle.version}, not {expected}.")
            text = f"Checking {name}"
            check_payload(path, bundle.tree, lambda far: running.tell(text, 0.9 + far * 0.1))
            self._files.accept(path, name)
        except Unavailable:
            path.unlink(missing_ok=True)
            raise
        except AllegroError as error:
            path.unlink(missing_ok=True)
            self._events.add("refused", f"{name} was refused: {error.message}")
            raise
        except OSError as error:
            path.unlink(missing_ok=True)
            raise Unavailable(f"{name} cannot be stored: {error.strerror}.") from error
        self._inventory.know(name, bundle)

    def delete(self, name: str) -> None:
        """Deletes a firmware file. Raises NotFound, InvalidInput, Conflict while something is being done."""
        with self._held_lock():
            self._files.delete(name)
        self._events.add("deleted", f"{name} was deleted.")

    # -- slots

    def install(self, name: str, *, older: bool = False) -> Slot:
        """Writes a firmware file to the slot that is not running; answers with that slot.

        Raises Conflict for an older version unless `older` confirms it, NotFound, InvalidInput, Unavailable.
        Until `activate` the device goes on starting what runs.
        """
        with self._alone(f"Installing {name}", f"{name} is installed; activate it to start it.") as running:
            return self._install(name, running, older=older)

    def check_install(self, name: str, *, older: bool = False) -> None:
        """Raises what `install` would raise before it begins to write."""
        with self._held_lock():
            self._installable(name, older=older)

    def _installable(self, name: str, *, older: bool) -> tuple[Path, Bundle, Slot]:
        path = self._files.path(name)
        own = self._own_slot()
        if not self._around.boot_state().slot(own).good:
            raise Conflict(
                f"The running version {self._around.version} is not confirmed yet, and the other slot is"
                " what the device would fall back to.",
                remedy="Wait a few minutes until it is confirmed.",
            )
        bundle = self._inventory.inspect(path)
        bundles.check_not_older(bundle.version, self._around.version, confirmed=older, what="install")
        return path, bundle, own

    def _install(self, name: str, running: Running, *, older: bool) -> Slot:
        path, bundle, own = self._installable(name, older=older)
        target = other_slot(own)
        text = f"Installing firmware {bundle.version}"
        running.tell(f"Checking {name}", 0.0)
        check_payload(path, bundle.tree, lambda far: running.tell(f"Checking {name}", far * 0.3))
        if self._around.boot_state().primary != own:  # or a cut would leave a half-written slot as the first
            self._around.installer.mark("active", "booted")
        self._inventory.forget(target)
        self._note.remove()
        try:
            self._around.installer.install(str(path), lambda far: running.tell(text, 0.3 + far * 0.7))
        except Unavailable:
            raise
        except AllegroError as error:
            failure = bundles.installing_failed(error)
            self._events.add("failed", f"{bundle.version}: {failure.message}")
            raise failure from error
        self._events.add(
            "installed", f"Installed {bundle.version} in {target}; {self._around.version} goes on."
        )
        return target

    def activate(self, slot: str, *, older: bool = False, restart: bool = True) -> str:
        """Lets the version in a slot start from now on; answers with it. With `restart` the device restarts.

        Raises InvalidInput if that is no slot of this device, Conflict for an older version that `older` does
        not confirm, or an empty slot, Unavailable.
        """
        with self._held_lock():
            wanted = next((each for each in SLOTS if each == slot), None)
            if wanted is None:
                raise InvalidInput(f"{slot!r} is no slot; there are slot-a and slot-b.", place="slot")
            version = self._activate(wanted, older=older)
        if restart:
            self._around.restart()
        return version

    def _activate(self, slot: Slot, *, older: bool) -> str:
        own = self._own_slot()
        if slot == own:
            self._around.installer.mark("active", "booted")
            self._note.remove()
            self._events.add("activated", f"{self._around.version} in {slot} stays the one that starts.")
            return self._around.version
        release = self._inventory.look(slot)
        if release is None:
            raise Conflict(f"{slot} is empty or damaged.", place="slot", remedy="Install a version first.")
        bundles.check_not_older(release.version, self._around.version, confirmed=older, what="start")
        try:
            self._note.write(
                Trial(
                    from_version=self._around.version,
                    from_slot=own,
                    to_version=release.version,
                    to_slot=slot,
                    boot_id=self._around.boot_id,
                    was_recording=self._around.recording(),
                )
            )
        except OSError as error:
            raise Unavailable(f"The data partition cannot be used: {error.strerror}.") from error
        self._around.installer.mark("active", "other")
        self._events.add(
            "activated", f"Activated {release.version} in {slot}; it starts at the next restart."
        )
        return release.version

    def update_to_newest(self) -> str:
        """Looks for newer firmware, brings, installs and activates it, without a restart.

        Answers with the version, or empty if there is nothing newer. Raises as the single steps do.
        """
        newer = self.check()
        if not newer:
            return ""
        done = f"Firmware {newer} starts at the next restart."
        with self._alone(f"Updating to firmware {newer}", done) as running:
            name = self._download(newer, running)
            slot = self._install(name, running, older=False)
            self._activate(slot, older=False)
        return newer

    def background(self, work: Callable[[], object]) -> None:
        """Runs one of the long methods in a thread of its own; its failure is in the actions.

        Raises Conflict if something is being done already.
        """
        if self._busy.locked():
            raise _busy_now()

        def run() -> None:
            try:
                work()
            except AllegroError as error:
                log.warning("Firmware: %s", error)
            except Exception:
                log.exception("Firmware: unexpected failure")

        thread = threading.Thread(target=run, name="firmware", daemon=True)
        thread.start()
        while thread.is_alive() and not self._busy.locked():  # who asks next must see it, not the one before
            time.sleep(0.001)

    def _own_slot(self) -> Slot:
        own = next((each for each in SLOTS if each == self._around.slot), None)
        if own is None:
            raise Unavailable(
                "This system was not started from slot A or B, so that it cannot be updated.",
                remedy="Restart the device; choose the first entry of the boot menu.",
            )
        return own

    @contextlib.contextmanager
    def _server(self) -> Iterator[UpdateServer]:
        server = self._around.server()
        try:
            yield server
        finally:
            server.close()

    @contextlib.contextmanager
    def _held_lock(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise _busy_now()
        try:
            yield
        finally:
            self._busy.release()

    @contextlib.contextmanager
    def _alone(self, text: str, done: str) -> Iterator[Running]:
        with self._held_lock(), self._actions.running(ACTION, text, done) as running:
            yield running

    def _judge_trial(self) -> None:
        trial = self._note.read()
        if trial is None or trial.boot_id == self._around.boot_id or trial.to_slot == self._around.slot:
            return
        state = self._around.boot_state()
        tried = next((each for each in SLOTS if each == trial.to_slot), None)
        if tried is not None and not trial.reason and state.slot(tried).tries_left and state.primary == tried:
            return  # somebody chose the previous version from the boot menu; the trial is still to come
        self._events.add("fell-back", fell_back(trial, self._around.version))
        with contextlib.suppress(OSError):
            self._note.remove()


def _not_offered(version: str) -> NotFound:
    return NotFound(f"The update server does not have version {version}.", place="version")


def _busy_now() -> Conflict:
    return Conflict(
        "Something else is being done with the firmware.", remedy="The status says what; wait for its end."
    )
