import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import Conflict, InvalidInput, Unavailable
from allegro.network import unconfirmed
from allegro.settings.model import Settings
from allegro.settings.network import Management
from allegro.settings.settings_file import SettingsStore
from allegro.settings.wifi import Wifi
from allegro.supervisor import safe_change
from allegro.supervisor.changes import Applier, SettingsChanger
from allegro.supervisor.safe_change import SafeChange

pytestmark = pytest.mark.spec("N5")

NEW = {"management": {"mode": "static", "address": "192.0.2.7/24"}}
NEWER = {"management": {"mode": "static", "address": "192.0.2.8/24"}}


class Device:
    """Settings with a way back, a clock that is turned by hand, and what was put into effect."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "unconfirmed.json"
        self.store = SettingsStore(folder / "settings.json")
        self.now = 1000.0
        self.ports = {"02:00:00:00:00:01": "mgmt0"}
        self.applied: list[str] = []
        self.restored: list[Mapping[str, str]] = []
        self.went_back = threading.Event()
        self.fail = 0
        self.has_wifi = True
        self.safe = SafeChange(
            self.path, lambda: self.ports, self._go_back, lambda: self.has_wifi, lambda: self.now
        )
        applier = Applier(("management",), lambda new: self.applied.append(new.management.address))
        self.change = SettingsChanger(self.store, (applier,), (), self.safe)

    def _go_back(self, sections: Mapping[str, Any], names: Mapping[str, str]) -> None:
        if self.fail:
            self.fail -= 1
            raise Unavailable("The network service does not answer.")
        self.change.put_back(sections)
        self.restored.append(names)
        self.went_back.set()

    def let_time_pass(self, seconds: float) -> None:
        with self.safe.lock:
            self.now += seconds
            self.safe._changed.notify_all()


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    made.safe.start()
    yield made
    made.safe.stop()


def test_a_change_that_nobody_confirms_is_taken_back(device: Device) -> None:
    device.change(NEW)
    assert device.safe.remaining_s() == 120
    assert device.store.current.management.address == "192.0.2.7/24"
    device.let_time_pass(119.9)
    assert device.store.current.management.address == "192.0.2.7/24"
    device.let_time_pass(0.2)
    assert device.went_back.wait(20)
    with device.safe.lock:
        assert device.store.current.management == Management()
        assert device.applied == ["192.0.2.7/24", ""]
        assert device.safe.remaining_s() is None
        assert device.safe.taken_back == "because nobody confirmed them in time"
        assert not device.path.exists()


def test_a_confirmed_change_stays(device: Device) -> None:
    device.change(NEW)
    device.safe.confirm()
    assert not device.path.exists()
    device.let_time_pass(1000)
    with device.safe.lock:
        assert device.store.current.management.address == "192.0.2.7/24"
    with pytest.raises(Conflict, match="No change of the network waits"):
        device.safe.confirm()


def test_what_locks_nobody_out_waits_for_nothing(device: Device) -> None:
    device.change({"trigger": {"before_s": 5}, "management": {"host_name": "meter", "confirm_s": 30}})
    assert device.safe.remaining_s() is None


def test_the_time_is_a_setting_and_may_come_with_the_change(device: Device) -> None:
    device.change({"management": {**NEW["management"], "confirm_s": 7}})
    assert device.safe.remaining_s() == 7


def test_after_several_changes_the_last_confirmed_state_comes_back(device: Device) -> None:
    device.change(NEW)
    device.let_time_pass(100)
    device.change(NEWER)
    assert device.safe.remaining_s() == 120
    device.safe.take_back()
    assert device.store.current.management == Management()
    assert device.restored == [device.ports]


@pytest.mark.spec("L1")
def test_a_link_that_is_cut_comes_back_unless_it_is_confirmed(device: Device) -> None:
    device.change({"links": {"mode": "sink"}})
    assert device.safe.remaining_s() == 120
    device.let_time_pass(121)
    assert device.went_back.wait(20)
    with device.safe.lock:
        assert device.store.current.links.mode == "bridge"
    device.change({"links": {"pairs": [{"pair": 2, "mode": "sink"}]}})
    device.safe.confirm()
    device.change({"links": {"pairs": []}})
    assert device.safe.remaining_s() is None, "what is connected cuts nobody off"
    device.change({"links": {"mode": "sink"}})
    device.change({"links": {"mode": "sink", "pairs": [{"pair": n, "mode": "bridge"} for n in range(1, 65)]}})
    assert device.safe.remaining_s() is None, "in other words the same again"


def test_changed_back_by_hand_nothing_waits(device: Device) -> None:
    device.change(NEW)
    device.change({"management": {"mode": "dhcp", "address": ""}})
    assert device.safe.remaining_s() is None
    assert not device.path.exists()


def test_changed_back_by_hand_the_way_back_stays_until_it_is_saved(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.change(NEW)
    saved: list[Settings] = []
    forget = unconfirmed.forget

    def look_at_the_disk(path: Path) -> None:
        saved.append(SettingsStore(device.path.with_name("settings.json"), read_only=True).current)
        forget(path)

    monkeypatch.setattr(unconfirmed, "forget", look_at_the_disk)
    device.change({"management": {"mode": "dhcp", "address": ""}})
    assert [each.management for each in saved] == [Management()]


def test_a_way_back_that_is_not_needed_and_cannot_be_removed_does_no_harm(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise OSError(30, "Read-only file system")

    device.change(NEW)
    with monkeypatch.context() as patched:
        patched.setattr(unconfirmed, "forget", refuse)
        device.change({"management": {"mode": "dhcp", "address": ""}})
    assert device.store.current.management == Management()
    assert device.safe.remaining_s() == 120
    device.change({"trigger": {"before_s": 5}})
    assert device.safe.remaining_s() is None


def test_a_wrong_setting_does_not_start_the_time(device: Device) -> None:
    with pytest.raises(InvalidInput):
        device.change({"management": {"mode": "static"}})
    assert device.safe.remaining_s() is None


def test_without_a_way_back_nothing_is_changed(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unconfirmed, "save", refuse)
    with pytest.raises(Unavailable, match="nothing was changed"):
        device.change(NEW)
    assert device.store.current == Settings()


def test_a_change_that_cannot_be_saved_waits_for_nothing(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.change(NEW)
    before = unconfirmed.load(device.path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(device.store._file, "write", refuse)
    with pytest.raises(Unavailable):
        device.change(NEWER)
    assert unconfirmed.load(device.path) == before
    assert device.safe.waiting == before


def test_the_supervisor_restarts_and_the_time_goes_on(tmp_path: Path) -> None:
    first = Device(tmp_path)
    first.change(NEW)
    second = Device(tmp_path)
    second.now = 1050.0
    assert second.safe.remaining_s() == 70
    second.safe.start()
    second.safe.stop()
    assert second.store.current.management.address == "192.0.2.7/24"


def test_the_device_restarts_and_the_change_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Device(tmp_path).change(NEW)
    monkeypatch.setattr(unconfirmed, "boot_id", lambda: "another start")
    second = Device(tmp_path)
    assert second.safe.remaining_s() == 0
    second.safe.start()
    assert second.went_back.wait(20)
    second.safe.stop()
    assert second.store.current.management == Management()
    assert second.safe.taken_back == "because the device restarted"


def test_a_way_back_that_fails_is_tried_again(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_change, "RETRY_S", 0.001)
    device.fail = 2
    device.change(NEW)
    device.let_time_pass(121)
    assert device.went_back.wait(20)


def test_ports_and_settings_go_back_together(device: Device) -> None:
    with device.safe.lock:
        device.safe.expect({}, 120)
    before = dict(device.ports)
    device.ports = {"02:00:00:00:00:01": "port1"}
    device.change(NEW)
    device.safe.take_back()
    assert device.restored == [before]


@pytest.mark.spec("N2")
def test_a_changed_wifi_network_is_taken_back_too(device: Device) -> None:
    device.change({"wifi": {"access_point": {"ssid": "Van", "password": "first one"}}})
    device.safe.confirm()
    assert device.store.current.wifi.access_point.ssid == "Van"
    device.change({"wifi": {"mode": "client", "client": {"ssid": "Office", "password": "wrong one"}}})
    assert device.safe.remaining_s() == 120
    assert device.path.stat().st_mode & 0o777 == 0o600, "it holds a password"
    device.let_time_pass(121)
    assert device.went_back.wait(20)
    with device.safe.lock:
        wifi = device.store.current.wifi
        assert (wifi.mode, wifi.access_point.password, wifi.client.ssid) == ("access-point", "first one", "")


@pytest.mark.spec("N2")
def test_wifi_settings_that_nobody_is_locked_out_by_wait_for_nothing(device: Device) -> None:
    device.change({"wifi": {"client": {"ssid": "Office"}}})  # not the mode that is used
    assert device.safe.remaining_s() is None
    device.has_wifi = False  # nobody can be there
    device.change({"wifi": {"mode": "off"}})
    device.has_wifi = True
    device.change({"wifi": {"mode": "access-point"}})  # from off
    assert device.safe.remaining_s() is None
    assert device.store.current.wifi == Wifi(client={"ssid": "Office"})  # type: ignore[arg-type]


@pytest.mark.spec("N2", "S6")
def test_the_first_password_of_the_wifi_gives_way_without_a_confirmation(device: Device) -> None:
    """Both hold for a while; later changes of the own one are like any other."""
    device.change({"wifi": {"access_point": {"password": "first own one"}}})
    assert device.safe.remaining_s() is None
    device.change({"wifi": {"access_point": {"password": "second own one"}}})
    assert device.safe.remaining_s() == 120


def test_what_changes_meanwhile_does_not_block_the_way_back(device: Device) -> None:
    device.change({"management": {"mode": "static", "address": "10.1.0.1/24"}})
    device.safe.confirm()
    device.change({"management": {"address": "10.2.0.1/24"}})
    device.let_time_pass(60)
    device.has_wifi = False
    device.change({"wifi": {"access_point": {"address": "10.1.0.9/24"}}})  # the subnet to go back to
    assert device.safe.remaining_s() == 60
    device.safe.take_back()
    assert device.store.current.management.address == "10.1.0.1/24"
    assert device.store.current.wifi == Wifi()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"sections": {"management": {"mode": 5}}, "ports": {}, "boot_id": "", "deadline_s": 0}',
        '{"sections": [], "ports": [1], "boot_id": "", "deadline_s": 0}',
    ],
)
def test_a_damaged_file_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "unconfirmed.json").write_text(content)
    assert unconfirmed.load(tmp_path / "unconfirmed.json") is None


@pytest.mark.spec("S2", "U7")
def test_a_note_of_a_newer_version_counts_and_a_damaged_one_gives_way_to_its_copy(tmp_path: Path) -> None:
    path = tmp_path / "unconfirmed.json"
    newer = {
        "sections": {"management": {"mode": "dhcp", "metric": 5}, "nonsense": {}},
        "ports": {},
        "boot_id": "x",
        "deadline_s": 1,
        "asked_by": "anna",
    }
    path.write_text(json.dumps(newer))
    found = unconfirmed.load(path)
    assert found is not None
    assert found.sections == {"management": Management().model_dump(mode="json")}
    unconfirmed.save(found, path)
    path.write_bytes(b"{")
    assert unconfirmed.load(path) == found
    unconfirmed.forget(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.spec("S2")
def test_a_note_that_cannot_be_read_keeps_nothing_from_starting(tmp_path: Path) -> None:
    first = Device(tmp_path)
    first.path.mkdir()  # reading it fails, whoever asks
    second = Device(tmp_path)
    assert second.safe.waiting is None
