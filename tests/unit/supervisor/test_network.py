import threading
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.settings.model import Settings
from allegro.supervisor import network
from allegro.supervisor.network import NetworkCare


def test_it_looks_again_and_again_also_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LOOK_EVERY_S", 0.001)
    looks: list[Path] = []
    enough = threading.Event()

    def refresh(_: Settings, memory: Path) -> None:
        looks.append(memory)
        if len(looks) == 1:
            raise OSError(5, "Input/output error")
        if len(looks) == 2:
            raise RuntimeError("unforeseen")
        enough.set()

    care = NetworkCare(Settings, Path("memory"), refresh)
    care.start()
    assert enough.wait(20)
    care.stop()
    assert looks[0] == Path("memory")


def test_it_goes_through_everything_only_when_devices_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "LOOK_EVERY_S", 0.001)
    lists = iter([["port1"]] * 50 + [["port1", "port2"]] * 50)
    refreshed_at: list[int] = []
    looks = 0
    enough = threading.Event()

    def devices() -> list[str]:
        nonlocal looks
        looks += 1
        present = next(lists, None)
        if present is None:
            enough.set()
            return ["port1", "port2"]
        return present

    monkeypatch.setattr(network, "SETTLING_S", 1e-9)
    care = NetworkCare(Settings, Path("memory"), lambda _, __: refreshed_at.append(looks), devices)
    care.start()
    assert enough.wait(20)
    care.stop()
    assert refreshed_at == [1, 51]


def test_a_change_that_fails_is_told_in_plain_words() -> None:
    def refresh(_: Settings, __: Path) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(Unavailable, match=r"could not be changed \(Input/output error\)"):
        NetworkCare(Settings, Path("memory"), refresh).apply(Settings())
