import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from allegro.errors import AllegroError, Conflict, InvalidInput, Unavailable
from allegro.events.event_list import EventList
from allegro.firmware import boot_state
from allegro.firmware.boot_state import BootState
from allegro.paths import Paths
from allegro.supervisor import reset_orders
from allegro.supervisor.reset_at_start import failure_path
from allegro.supervisor.reset_orders import RESET, UPDATE, Resets
from allegro.system import configuration_reset
from allegro.system.actions import Action, Actions
from allegro.system.configuration_reset import Order, Outcome


@dataclass
class Bench:
    paths: Paths
    device: Path
    actions: Actions = field(default_factory=Actions)
    power: list[str] = field(default_factory=list)
    newer: str = "2.0.0"
    errors: list[Exception] = field(default_factory=list)
    asked: int = 0
    patience_s: float = 0.0

    def update_to_newest(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.newer

    def resets(self) -> Resets:
        return Resets(
            self.paths,
            self.actions,
            self.power.append,
            self.update_to_newest,
            self.device,
            self.patience_s,
            note=EventList(self.paths.events).note,
        )

    def action(self, name: str) -> Action:
        (found,) = [action for action in self.actions.all() if action.name == name]
        return found

    def ended(self, name: str) -> Action:
        wait_for(lambda: self.action(name).state != "running")
        return self.action(name)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, threading.enumerate()
        time.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(Paths(tmp_path / "data", tmp_path / "run"), tmp_path / "boot-state")
    for directory in (made.paths.state, made.paths.run):
        directory.mkdir(parents=True)
    made.device.write_bytes(bytes(1 << 20))
    boot_state.write(made.device, BootState(starts=1))
    return made


@pytest.mark.spec("U5", "W9")
def test_a_reset_is_noted_with_what_to_keep_and_the_device_starts_again(bench: Bench) -> None:
    bench.resets().configuration(["users", "keys"])
    assert boot_state.read(bench.device) == BootState(starts=1, request="configuration-reset")
    assert configuration_reset.read_order(bench.paths) == Order(frozenset({"users", "keys"}))
    assert bench.power == ["reboot"]
    assert "keys, users" in bench.action(RESET).text


@pytest.mark.spec("U5")
def test_the_shortcut_resets_everything_and_has_an_update_follow(bench: Bench) -> None:
    bench.resets().by_shortcut()
    assert configuration_reset.read_order(bench.paths) == Order(then_update=True)
    assert bench.power == ["reboot"]


@pytest.mark.spec("U5")
def test_the_shortcut_says_why_there_is_no_reset(bench: Bench) -> None:
    bench.device.unlink()
    bench.device.mkdir()
    bench.resets().by_shortcut()
    assert bench.action(RESET).state == "failed"
    assert "boot state cannot be written" in bench.action(RESET).text
    assert bench.power == []


def test_two_resets_at_once_are_one(bench: Bench) -> None:
    resets = bench.resets()
    resets.configuration([])
    with pytest.raises(Conflict):
        resets.configuration(["users"])
    assert configuration_reset.read_order(bench.paths) == Order()
    assert bench.power == ["reboot"]


def test_what_cannot_be_kept_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidInput, match="everything"):
        bench.resets().configuration(["users", "everything"])
    assert boot_state.read(bench.device).request == ""
    assert bench.power == []


def test_a_boot_state_that_cannot_be_written_leaves_no_order_behind(bench: Bench) -> None:
    bench.device.unlink()
    bench.device.mkdir()
    with pytest.raises(Unavailable):
        bench.resets().configuration(["users"])
    assert not configuration_reset.order_path(bench.paths).exists()
    assert bench.power == []


def test_a_start_without_a_reset_tells_nothing_and_forgets_a_stale_order(bench: Bench) -> None:
    configuration_reset.write_order(bench.paths, Order(frozenset({"users"})))
    bench.resets().after_start()
    assert bench.actions.all() == ()
    assert not configuration_reset.order_path(bench.paths).exists()


def test_what_a_reset_has_done_is_told(bench: Bench) -> None:
    configuration_reset.write_outcome(bench.paths, Outcome(["settings.json"]), Order())
    bench.resets().after_start()
    assert bench.action(RESET).state == "done"
    assert bench.power == []
    bench.actions = Actions()
    bench.resets().after_start()
    assert bench.actions.all() == ()


def test_what_could_not_be_removed_is_told(bench: Bench) -> None:
    configuration_reset.write_outcome(bench.paths, Outcome([], [("web", "Input/output error")]), Order())
    bench.resets().after_start()
    assert bench.action(RESET).state == "failed"
    assert "web" in bench.action(RESET).text


def test_word_of_a_reset_that_is_damaged_is_not_taken_for_success(bench: Bench) -> None:
    configuration_reset.write_outcome(bench.paths, Outcome(), Order(then_update=True))
    path = configuration_reset.outcome_path(bench.paths)
    path.write_text("{")
    path.with_name(f".{path.name}.good").unlink()
    bench.resets().after_start()
    action = bench.action(RESET)
    assert action.state == "failed"
    assert "is not known" in action.text
    assert str(path) in action.text
    assert not path.exists(), "it is told once"


def test_a_reset_that_was_given_up_is_told(bench: Bench) -> None:
    failure_path(bench.paths).write_text("Configuration reset: not done. The disk is broken.")
    bench.resets().after_start()
    assert bench.action(RESET).state == "failed"
    assert "The disk is broken." in bench.action(RESET).text


def after_shift_r(bench: Bench) -> Action:
    configuration_reset.write_outcome(bench.paths, Outcome(), Order(then_update=True))
    bench.resets().after_start()
    return bench.ended(UPDATE)


@pytest.mark.spec("U5")
def test_newer_firmware_is_installed_and_the_device_goes_off(bench: Bench) -> None:
    assert after_shift_r(bench).state == "done"
    wait_for(lambda: bench.power)
    assert bench.asked == 1
    assert "2.0.0" in bench.action(UPDATE).text
    assert bench.power == ["power-off"]


@pytest.mark.spec("U5")
def test_without_newer_firmware_the_device_goes_off_too(bench: Bench) -> None:
    bench.newer = ""
    assert after_shift_r(bench).state == "done"
    wait_for(lambda: bench.power)
    assert bench.power == ["power-off"]


@pytest.mark.spec("U5")
def test_a_server_that_cannot_be_reached_yet_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reset_orders, "ASK_AGAIN_S", 0.01)
    bench.errors = [Unavailable("The update server does not answer.")] * 3
    bench.patience_s = 20
    assert after_shift_r(bench).state == "done"
    assert bench.asked == 4


@pytest.mark.spec("U5")
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Unavailable("The update server does not answer."), "The update server does not answer."),
        (AllegroError("The bundle is damaged."), "The bundle is damaged."),
        (ValueError("odd"), "see the log"),
    ],
)
def test_if_anything_fails_the_device_stays_on_and_says_why(
    bench: Bench, error: Exception, text: str
) -> None:
    bench.errors = [error]
    action = after_shift_r(bench)
    assert action.state == "failed"
    assert text in action.text
    assert "stays on" in action.text
    assert bench.power == []
