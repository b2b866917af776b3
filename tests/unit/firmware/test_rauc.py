"""Against a real message bus, with a service on it that answers as RAUC does."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from allegro.errors import Unavailable
from allegro.firmware import rauc as module
from allegro.firmware.rauc import Rauc, Refused, plain
from tests.unit.firmware import rauc_on_bus


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    command = ["dbus-daemon", "--session", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        address = daemon.stdout.readline().strip()
        yield address
        daemon.terminate()


@pytest.fixture(scope="module")
def rauc(bus: str) -> Iterator[Rauc]:
    with subprocess.Popen(
        [sys.executable, str(rauc_on_bus.__file__), bus], stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "ready\n"
        yield Rauc(bus)
        service.terminate()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)


def test_a_manifest_as_plain_values(rauc: Rauc) -> None:
    assert rauc.inspect("/good.raucb") == {
        "update": {"compatible": "x", "version": "2.0.0"},
        "bundle": {"format": "verity", "verity-size": 4096},
        "images": [{"slot-class": "system", "size": 5, "hooks": []}],
        "meta": {"allegro": {"notes": "Line 1\nLine 2"}},
    }


def test_a_refusal_has_its_words(rauc: Rauc) -> None:
    with pytest.raises(Refused) as caught:
        rauc.inspect("/bad.raucb")
    assert caught.value.message == "signature verification failed: no"


def test_an_installation_that_did_not_end_is_known(rauc: Rauc) -> None:
    assert [rauc.unfinished(slot) for slot in ("slot-a", "slot-b", "factory")] == [False, True, False]


def test_an_installation_with_progress(rauc: Rauc) -> None:
    seen: list[float] = []
    rauc.install("/good.raucb", seen.append)
    assert seen
    assert set(seen) <= {0.0, 0.4, 0.8, 1.2}
    assert seen == sorted(seen)


def test_an_installation_that_fails(rauc: Rauc) -> None:
    with pytest.raises(Refused, match="boom"):
        rauc.install("/fails.raucb", lambda _: None)


def test_an_installer_that_is_started_anew_in_between_is_noticed(rauc: Rauc) -> None:
    with pytest.raises(Refused, match="restarted in the middle"):
        rauc.install("/stuck.raucb", lambda _: None)


def test_marks(rauc: Rauc) -> None:
    rauc.mark("active", "other")
    with pytest.raises(Refused, match="no such slot"):
        rauc.mark("bad", "booted")


def test_nobody_there(bus: str) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        Rauc("unix:path=/nowhere").inspect("/x")


def test_plain_values_of_other_pairs() -> None:
    assert plain(("s", "so")) == "so"
    assert plain({"a": ("as", ["x", "y"])}) == {"a": ["x", "y"]}
