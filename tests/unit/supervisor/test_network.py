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


def test_a_change_that_fails_is_told_in_plain_words() -> None:
    def refresh(_: Settings, __: Path) -> None:
        raise OSError(5, "Input/output error")

    with pytest.raises(Unavailable, match=r"could not be changed \(Input/output error\)"):
        NetworkCare(Settings, Path("memory"), refresh).apply(Settings())
