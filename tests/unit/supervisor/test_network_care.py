import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.network.configure import Interfaces
from allegro.network.temporary_address import Claim
from allegro.settings.model import Settings
from allegro.settings.network import Management
from allegro.supervisor import network_care
from allegro.supervisor.network_care import NetworkCare

FOUND = Interfaces(("mgmt0",), ("port1",), "02:00:00:00:ab:cd")


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The host names that this machine would have got."""
    given: list[str] = []
    monkeypatch.setattr(socket, "sethostname", given.append)
    monkeypatch.setattr(socket, "gethostname", lambda: given[-1] if given else "allegro-mm")
    return given


class Kernel:
    """Plays the news of the kernel, one look after the other; then it is quiet."""

    def __init__(self, *news: bool) -> None:
        self._news = iter(news)
        self.looks = 0
        self.over = threading.Event()

    def wait(self, _timeout_s: float) -> bool:
        self.looks += 1
        told = next(self._news, None)
        if told is None:
            self.over.set()
            self.over.wait(0.005)
        return bool(told)


def _care(kernel: Kernel, refresh: Callable[[Settings, Path, Claim | None], Interfaces]) -> NetworkCare:
    return NetworkCare(
        Settings, Path("memory"), refresh=refresh, wait=kernel.wait, has_link=lambda _name: True
    )


def test_it_goes_through_everything_at_start_and_when_something_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network_care, "SETTLING_S", (0.0,))
    looked_at: list[int] = []

    def refresh(*_: object) -> Interfaces:
        looked_at.append(kernel.looks)
        return FOUND

    kernel = Kernel(*[False] * 50, True, *[False] * 50)
    care = _care(kernel, refresh)
    care.start()
    assert kernel.over.wait(20)
    care.stop()
    assert looked_at == [0, 51]


def test_it_looks_again_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_care, "RETRY_S", 0.0)
    looks: list[Path] = []
    enough = threading.Event()

    def refresh(_: Settings, memory: Path, __: Claim | None) -> Interfaces:
        looks.append(memory)
        if len(looks) == 1:
            raise OSError(5, "Input/output error")
        if len(looks) == 2:
            raise RuntimeError("unforeseen")
        enough.set()
        return FOUND

    care = _care(Kernel(), refresh)
    care.start()
    assert enough.wait(20)
    care.stop()
    assert looks[0] == Path("memory")


@pytest.mark.spec("N1")
def test_a_management_port_that_comes_late_gives_the_device_its_name(names: list[str]) -> None:
    found = [Interfaces((), ("port1",), ""), FOUND]
    care = _care(Kernel(), lambda *_: found.pop(0))
    care.apply(Settings())
    assert names == []
    care.apply(Settings())
    assert names == ["allegro-mm-abcd"]
    found.append(FOUND)
    care.apply(Settings(management=Management(host_name="meter-7")))
    assert names[-1] == "meter-7"


@pytest.mark.spec("N3")
def test_a_cable_that_is_plugged_in_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_care, "SETTLING_S", (0.0,))
    links = [True, False, True, True]
    told: list[int] = []
    kernel = Kernel(True, True, True)
    care = NetworkCare(
        Settings,
        Path("memory"),
        on_link=lambda: told.append(kernel.looks),
        refresh=lambda *_: FOUND,
        wait=kernel.wait,
        has_link=lambda _name: links.pop(0),
    )
    care.start()
    assert kernel.over.wait(20)
    care.stop()
    assert told == [2]


def test_a_change_that_fails_is_told_in_plain_words() -> None:
    def refresh(*_: object) -> Interfaces:
        raise OSError(5, "Input/output error")

    with pytest.raises(Unavailable, match=r"could not be changed \(Input/output error\)"):
        _care(Kernel(), refresh).apply(Settings())


@pytest.mark.spec("N3")
def test_the_temporary_address_goes_with_every_refresh() -> None:
    seen: list[Claim | None] = []

    def refresh(_: Settings, __: Path, claim: Claim | None) -> Interfaces:
        seen.append(claim)
        return FOUND

    claim = Claim("192.168.77.1/24")
    care = NetworkCare(Settings, Path("memory"), lambda: claim, refresh=refresh, wait=Kernel().wait)
    care.apply(Settings())
    care.apply_temporary(None)
    assert seen == [claim, None]
