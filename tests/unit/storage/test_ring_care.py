"""Where the recorder is told to have its ring. That it goes there: tests/vm/test_capture_disk.py."""

from pathlib import Path

import pytest

from allegro.capture.recorder.dispatcher import BROKEN_AFTER
from allegro.capture.recorder.ring_keeper import RETRY_S
from allegro.capture.status import RecorderStatus, RingStatus
from allegro.errors import Conflict, InvalidInput, NotFound
from allegro.settings.model import Settings
from allegro.settings.recording import Recording
from allegro.storage.ring_care import RingCare
from allegro.storage.used_disk import Use, UsedDisk
from allegro.storage.volumes import ring_objection
from tests.unit.storage.playing_disks import FOR_THE_RING, VOLUMES, PlayingMounts, make_ring_folder

pytestmark = pytest.mark.spec("W5", "R2")

RING = FOR_THE_RING.uuid
OWN = "/data/ring"


class Bench:
    def __init__(self, folder: Path) -> None:
        self.settings = Settings()
        self.plugged_in = {RING, "5f3a-stick"}
        self.mounts = PlayingMounts()
        self.told: list[Path | None] = []
        self.unfinished = self.waiting = 0
        self.opening = False
        self.memory_reason = ""
        self.now = 1000.0
        self.obeys = True
        self.disk = UsedDisk(
            folder / "ring-disk",
            lambda: self.settings.recording.ring_disk,
            lambda: [*VOLUMES, FOR_THE_RING],
            self.mounts,
            lambda uuid: uuid in self.plugged_in,
            lambda _device: self.mounts.mounted in self.plugged_in,
            use=Use("the packet ring buffer", "allegro-ring", make_ring_folder, ring_objection),
        )
        self.care = RingCare(
            *(self.disk, lambda: self.settings, self.tell, self.recorder, lambda: self.unfinished),
            waits=lambda: self.waiting,
            now_s=self.clock,
        )
        self.folder = self.disk.folder
        self.there = OWN
        self.closing_looks = 0
        """So often the recorder says that it has no ring yet, as it still closes the one before."""

    def clock(self) -> float:
        self.now += 0.01
        return self.now

    def tell(self) -> None:
        self.told.append(self.care.directory())
        if self.obeys:
            self.there = str(self.told[-1] or OWN)

    def recorder(self) -> RecorderStatus:
        ring = None if self.closing_looks else RingStatus(directory=self.there)
        if self.closing_looks:
            self.closing_looks -= 1
            self.mounts.in_use = self.closing_looks > 0
        return RecorderStatus(
            message="The disk refuses.",
            ring=ring,
            ring_directory=self.there,
            ring_opening=str(self.folder) if self.opening else "",
            memory_reason=self.memory_reason,
        )

    def choose(self, uuid: str, size_mib: int | None = 64) -> None:
        def keep(size: int) -> None:
            self.settings = Settings(recording=Recording(ring_disk=uuid, ring_disk_mib=size))
            self.tell()

        if not self.obeys:
            self.care._stop.set()  # it does not wait between its looks
        self.care.choose(uuid, size_mib, keep)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_stays_on_the_device_until_a_disk_is_chosen(bench: Bench) -> None:
    bench.care.step()
    assert (bench.care.directory(), bench.told, bench.care.problem()) == (None, [], "")


def test_it_goes_to_the_chosen_disk_and_back_when_that_is_pulled(bench: Bench) -> None:
    bench.choose(RING)
    assert bench.told == [bench.folder]
    bench.care.step()
    assert bench.told == [bench.folder]
    bench.plugged_in.discard(RING)
    assert bench.care.directory() is None
    bench.care.step()
    assert (bench.told, bench.care.problem()) == ([bench.folder, None], "It is not plugged in.")
    bench.plugged_in.add(RING)
    bench.care.step()
    assert (bench.told[2:], bench.care.problem()) == ([bench.folder], "")


def test_after_a_start_it_is_awaited_until_it_is_there_or_will_not_come(bench: Bench) -> None:
    assert not bench.care.is_awaited()  # no disk was chosen
    bench.settings = Settings(recording=Recording(ring_disk=RING, ring_disk_mib=64))
    bench.plugged_in.discard(RING)
    bench.care.step()
    assert bench.care.is_awaited()  # a disk may be found a while after the start
    bench.obeys = False
    bench.plugged_in.add(RING)
    bench.care.step()
    assert bench.care.is_awaited()  # the recorder is told, and opens it
    bench.there = str(bench.folder)
    assert not bench.care.is_awaited()
    bench.there = OWN
    bench.now += 60
    bench.care.step()
    assert not bench.care.is_awaited()  # the recorder gets no ring there


def test_a_disk_that_is_not_there_is_awaited_for_a_minute(bench: Bench) -> None:
    bench.settings = Settings(recording=Recording(ring_disk=RING, ring_disk_mib=64))
    bench.plugged_in.discard(RING)
    bench.now += 59
    bench.care.step()
    assert bench.care.is_awaited()
    bench.now += 1
    bench.care.step()
    assert not bench.care.is_awaited()


def test_it_is_awaited_longer_while_other_captures_or_the_opening_hold_the_move_up(bench: Bench) -> None:
    bench.settings = Settings(recording=Recording(ring_disk=RING, ring_disk_mib=64))
    bench.obeys, bench.waiting = False, 1
    for waiting, opening in ((1, False), (0, True)):
        bench.waiting, bench.opening = waiting, opening
        bench.care.step()
        bench.now += 1000
        bench.care.step()
        assert bench.care.is_awaited()
    bench.opening = False  # as before a second try
    assert bench.care.is_awaited()
    bench.now += 30
    bench.care.step()
    assert not bench.care.is_awaited()


def test_without_a_size_it_gets_what_is_free_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allegro.capture.space.available", lambda _folder: (500 << 20) + 5)
    bench.choose(RING, None)
    assert bench.settings.recording.ring_disk_mib == 500


def test_a_size_that_the_disk_could_never_hold_is_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allegro.capture.space.largest_ring", lambda _folder: 100 << 20)
    monkeypatch.setattr("allegro.capture.space.available", lambda _folder: 80 << 20)
    with pytest.raises(InvalidInput, match="does not fit") as caught:
        bench.choose(RING, 101)
    assert caught.value.remedy == "80 MiB are free for it."
    bench.care.step()
    assert (bench.told, bench.mounts.mounted) == ([], "")
    monkeypatch.setattr("allegro.capture.space.available", lambda _folder: 1 << 20)
    with pytest.raises(InvalidInput):
        bench.choose(RING, None)


def test_exfat_and_what_is_not_there_are_refused_and_nothing_changes(bench: Bench) -> None:
    with pytest.raises(Conflict, match="format it with ext4"):
        bench.choose("5f3a-stick")
    with pytest.raises(NotFound):
        bench.choose("nobody")
    assert (bench.told, bench.mounts.mounted, bench.settings.recording.ring_disk) == ([], "", "")


def test_it_is_let_go_when_the_recorder_has_left_it(bench: Bench) -> None:
    bench.choose(RING)
    bench.care.remove()
    assert (bench.told, bench.mounts.mounted) == ([bench.folder, None], "")
    bench.care.step()
    assert (bench.told[2:], bench.care.problem()) == ([], "It can be pulled.")
    with pytest.raises(Conflict, match="No disk"):
        bench.care.remove()


def test_it_is_not_let_go_while_captures_need_it_or_the_recorder_is_there(bench: Bench) -> None:
    bench.choose(RING)
    bench.unfinished = 1
    with pytest.raises(Conflict, match="Captures"):
        bench.care.remove()
    assert bench.told == [bench.folder]
    bench.unfinished, bench.obeys = 0, False
    bench.care._stop.set()  # it does not wait between its looks
    with pytest.raises(Conflict, match="does not leave") as caught:
        bench.care.remove()
    assert "switch the device off before you pull it" in (caught.value.remedy or "")
    assert bench.mounts.mounted == RING
    bench.care.step()
    assert bench.care.directory() == bench.folder


def test_it_is_let_go_when_the_ring_on_it_is_closed(bench: Bench) -> None:
    """Which takes as long as what was recorded last is being written."""
    bench.choose(RING)
    bench.closing_looks = 3
    bench.care._stop.set()  # it does not wait between its looks
    bench.care.remove()
    assert bench.mounts.mounted == ""


def test_a_disk_that_is_still_read_stays_in_use(bench: Bench) -> None:
    bench.choose(RING)
    bench.mounts.in_use = True
    with pytest.raises(Conflict, match="in use"):
        bench.care.remove()
    bench.care.step()
    assert bench.told == [bench.folder, None, bench.folder]


def test_a_disk_on_which_the_recorder_gets_no_ring_is_given_up_until_it_is_plugged_in_again(
    bench: Bench,
) -> None:
    bench.obeys = False
    bench.choose(RING)
    bench.care.step()
    assert bench.care.directory() == bench.folder
    bench.now += 60
    bench.care.step()
    assert bench.told == [bench.folder, None]
    assert bench.care.problem() == "The recorder cannot use it. The disk refuses."
    bench.plugged_in.discard(RING)
    bench.care.step()
    bench.obeys = True
    bench.plugged_in.add(RING)
    bench.care.step()
    assert (bench.told[2:], bench.care.problem()) == ([bench.folder], "")


def test_a_disk_is_not_blamed_while_the_present_one_hangs_up_to_a_second_try(bench: Bench) -> None:
    bench.settings = Settings(recording=Recording(ring_disk=RING, ring_disk_mib=64))
    bench.obeys = False
    bench.care.step()
    bench.now += BROKEN_AFTER + RETRY_S + 1  # the recorder waited for the present one, and tries again
    bench.care.step()
    assert bench.told == [bench.folder]
    bench.there = str(bench.folder)
    bench.care.step()
    assert (bench.care.is_there(), bench.care.problem()) == (True, "")


def test_one_that_was_given_up_can_be_chosen_again(bench: Bench) -> None:
    bench.obeys = False
    bench.choose(RING)
    bench.now += 60
    bench.care.step()
    bench.obeys = True
    bench.choose(RING)
    assert (bench.told[-1], bench.care.problem()) == (bench.folder, "")


def test_a_recorder_that_could_not_leave_a_disk_is_told_again(bench: Bench) -> None:
    bench.choose(RING)
    bench.obeys = False
    bench.plugged_in.discard(RING)
    bench.care.step()
    bench.care.step()
    assert bench.told == [bench.folder, None]
    bench.now += 11
    bench.care.step()
    assert bench.told == [bench.folder, None, None]


def test_back_to_the_device(bench: Bench) -> None:
    bench.choose(RING)
    bench.choose("")
    assert (bench.told[1:], bench.mounts.mounted, bench.care.problem()) == ([None, None], "", "")


def test_a_ring_that_takes_long_to_be_opened_is_waited_for_and_told(bench: Bench) -> None:
    """Recording goes on meanwhile, in the ring before."""
    bench.obeys, bench.opening = False, True
    bench.choose(RING)
    bench.care.step()
    assert (bench.care.is_there(), bench.care.problem()) == (False, "")
    bench.now += 1000
    bench.care.step()
    assert (bench.told, bench.care.directory()) == ([bench.folder], bench.folder)
    assert "is being opened" in bench.care.problem()
    bench.there, bench.opening = str(bench.folder), False
    bench.care.step()
    assert (bench.care.is_there(), bench.care.problem(), bench.care.pending()) == (True, "", "")


def test_a_disk_that_fails_so_that_only_memory_is_left_gives_way_to_the_own_one(bench: Bench) -> None:
    bench.choose(RING)
    bench.care.step()
    bench.there, bench.memory_reason = "/run/allegro/ring", "The disk does not take packets: worn out."
    bench.now += 2
    bench.care.step()
    assert bench.care.directory() == bench.folder, "it may be opened again in a moment"
    bench.now += 2
    bench.care.step()
    assert bench.told == [bench.folder, None]
    assert bench.care.problem() == "The recorder cannot use it. The disk does not take packets: worn out."


def test_a_move_that_waits_for_captures_is_not_called_done(bench: Bench) -> None:
    bench.obeys, bench.waiting = False, 2
    bench.choose(RING)
    bench.now += 1000
    bench.care.step()
    assert (bench.care.is_there(), bench.care.problem()) == (False, "")
    assert "when 2 captures accepted before" in bench.care.pending()
    assert bench.told == [bench.folder]
