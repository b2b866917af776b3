"""The versions at hand: what the slots and the files hold. Looked at once, and again when it has changed."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from allegro.errors import AllegroError, Conflict, Unavailable
from allegro.firmware import boot_state, bundle_files, bundles
from allegro.firmware.boot_state import FACTORY, SLOTS, BootName, BootState, Slot
from allegro.firmware.bundle_files import FirmwareFiles, StoredFile
from allegro.firmware.bundles import Bundle
from allegro.firmware.device_around import Surroundings
from allegro.firmware.release_index import Offer
from allegro.firmware.releases import Release
from allegro.firmware.versions import Compared, compared

Place = Literal["slot-a", "slot-b", "factory", "file", "server"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Held:
    """A version at hand. `name`: of slot or file; `size` in bytes; `good`: None where it has no meaning."""

    place: Place
    name: str
    version: str
    date: str
    notes: str
    size: int
    compared: Compared
    running: bool = False
    starts_next: bool = False
    good: bool | None = None
    problem: str = ""


class Inventory:
    """`busy`: whether something is being done with the firmware; RAUC is not asked then, as it does one thing
    at a time. May be used from several threads."""

    def __init__(self, files: FirmwareFiles, around: Surroundings, busy: Callable[[], bool]) -> None:
        self._files = files
        self._around = around
        self._busy = busy
        self._bundles: dict[StoredFile, Bundle | AllegroError] = {}
        self._releases: dict[str, Release | None] = {}

    def on_the_device(self, state: BootState) -> list[Held]:
        """What slots and files hold, also what is damaged there."""
        return [*self._in_slots(state), *self._in_files()]

    def held(self, place: Place, name: str, what: Release | Bundle | Offer, size: int) -> Held:
        """What is known of a version: `name` of slot or file, `size` in bytes."""
        return Held(
            place,
            name,
            what.version,
            what.date,
            what.notes,
            size,
            compared(what.version, self._around.version),
        )

    def look(self, slot: BootName) -> Release | None:
        """What lies in a slot that is not running; None if it is empty, damaged, or half of something."""
        with contextlib.suppress(Unavailable):  # then nobody can start it either
            if slot in SLOTS and self._around.installer.unfinished(slot):
                return None
        return self._around.look(slot)

    def forget(self, slot: Slot) -> None:
        """What lies in the slot changes."""
        self._releases.pop(slot, None)

    def know(self, name: str, bundle: Bundle) -> None:
        """A file that has been judged already: it need not be looked at again."""
        with contextlib.suppress(AllegroError):
            stored = next(file for file in self._files.all() if file.name == name)
            self._bundles[stored] = bundle

    def inspect(self, path: Path) -> Bundle:
        """The manifest of a bundle that this device takes. Raises Refusal, Unavailable."""
        authority = self._around.authority()
        try:
            manifest = self._around.installer.inspect(str(path))
        except Unavailable:
            raise
        except AllegroError as error:
            log.info("RAUC refuses %s: %s", path.name, error.message)
            raise bundles.in_words(error.message, bundle_files.head(path)) from error
        bundle = bundles.from_manifest(manifest)
        bundles.check_fits(bundle, authority.compatible, min(map(self._around.slot_size, SLOTS)))
        return bundle

    def _in_slots(self, state: BootState) -> Iterator[Held]:
        next_slot = boot_state.boot_order(state)[0]
        for name in (*SLOTS, FACTORY):
            running = name == self._around.slot
            release = self._release(name, running=running)
            size = self._around.slot_size(name)
            good = None if name == FACTORY else state.slot(name).good
            if release is None:
                if name == FACTORY or not size:
                    continue
                problem = "empty or damaged" if name in self._releases else "something is being done with it"
                yield Held(name, name, "", "", "", size, "unknown", running, False, good, problem)
            else:
                made = self.held(name, name, release, size)
                yield replace(made, running=running, starts_next=name == next_slot, good=good)

    def _release(self, slot: BootName, *, running: bool) -> Release | None:
        if slot not in self._releases and not self._busy():
            self._releases[slot] = self._around.own_release() if running else self.look(slot)
        return self._releases.get(slot)

    def _in_files(self) -> Iterator[Held]:
        for file in self._files.all():
            known = self._inspected(file)
            if isinstance(known, Bundle):
                yield self.held("file", file.name, known, file.size)
            else:
                yield Held("file", file.name, "", "", "", file.size, "unknown", problem=str(known))

    def _inspected(self, file: StoredFile) -> Bundle | AllegroError:
        if file not in self._bundles:
            if self._busy():  # RAUC does one thing at a time
                return Conflict("Something else is being done with the firmware; look again later.")
            try:
                known: Bundle | AllegroError = self.inspect(self._files.path(file.name))
            except Unavailable as error:
                return error
            except AllegroError as error:
                known = error
            self._bundles = {each: value for each, value in self._bundles.items() if each.name != file.name}
            self._bundles[file] = known
        return self._bundles[file]
