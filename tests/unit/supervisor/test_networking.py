import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound, Unavailable
from allegro.network import ethtool, overview
from allegro.paths import Paths
from allegro.settings.model import Settings
from allegro.settings.settings_file import SettingsStore
from allegro.supervisor.networking import Networking
from allegro.system.actions import Actions
from tests.unit.api.bench import LINKED_PORTS, MEASURING_PORT


def networking(folder: Path, *, controls: bool = True) -> Networking:
    paths = Paths(folder / "data", folder / "run")
    settings = SettingsStore(paths.settings)
    return Networking(paths, settings, Actions(), lambda _old: None, lambda: False, controls=controls)


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> list[overview.Port]:
    """Those of the device."""
    there = [*LINKED_PORTS]
    monkeypatch.setattr(overview, "read_ports", lambda *_: there)
    return there


@pytest.mark.spec("L1")
def test_a_pair_is_looked_for_among_the_ports_of_the_device(
    tmp_path: Path, ports: list[overview.Port]
) -> None:
    made, old = networking(tmp_path), Settings()
    ports.append(replace(ports[0], name="port3", present=False))
    for pair in (1, 2):
        made.check_pairs(old, Settings.model_validate({"links": {"pairs": [{"pair": pair, "mode": "sink"}]}}))
    with pytest.raises(InvalidInput, match=r"There is no pair 3: .* are port1, port2, port3"):
        made.check_pairs(old, Settings.model_validate({"links": {"pairs": [{"pair": 3, "mode": "sink"}]}}))


@pytest.mark.spec("W11")
def test_a_port_that_cannot_blink_is_told_in_words(
    tmp_path: Path, ports: list[overview.Port], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = networking(tmp_path)
    ports.append(MEASURING_PORT)
    wanted: list[tuple[str, int]] = []

    def card(name: str, seconds: int) -> bool:
        wanted.append((name, seconds))
        if name == "port2":
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        return seconds > 1

    monkeypatch.setattr(ethtool, "blink", card)
    made.blink("port1", 5)
    assert wanted == [("port1", 5)]
    refused: list[tuple[str, int, type[AllegroError], str]] = [
        ("port1", 1, Conflict, r"port1 cannot be made to blink: its network card \(igb\) has no light"),
        ("port2", 5, Conflict, "A port is blinking already."),
        ("port9", 5, NotFound, "There is no port port9."),
    ]
    for name, seconds, kind, words in refused:
        with pytest.raises(kind, match=words):
            made.blink(name, seconds)


@pytest.mark.spec("W11")
def test_ports_of_somebodys_machine_do_not_blink(tmp_path: Path, ports: list[overview.Port]) -> None:
    with pytest.raises(Unavailable, match="is left alone"):
        networking(tmp_path, controls=False).blink(ports[0].name, 1)
