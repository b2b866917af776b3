"""The order of things, with a kernel that is played; the real one is in tests/host/test_ports.py."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.network import configure, ethtool, kernel, ports, redirect
from allegro.network.configure import (
    Interfaces,
    known_names,
    memory,
    name_ports,
    reassign,
    refresh,
    restore_names,
    write_files,
)
from allegro.network.links import LinkPlan
from allegro.network.ports import NetworkDevice
from allegro.network.temporary_address import Claim
from allegro.settings.model import Settings
from allegro.settings.network import Links


class Machine:
    """Network devices that can be renamed, and a record of what else was asked for."""

    def __init__(self, count: int) -> None:
        self.devices = [
            NetworkDevice(f"eth{n}", "wired", f"pci0000:00/0000:00:{n:02x}.0", f"02:00:00:00:00:{n:02x}")
            for n in range(count)
        ]
        self.prepared: list[str] = []
        self.deleted: list[str] = []
        self.reloads = 0
        self.redirected: dict[str, str] = {}
        self.looked_at: list[str] = []

    def read(self, sysfs: Path) -> list[NetworkDevice]:
        return list(self.devices)

    def rename(self, steps: Sequence[tuple[str, str]]) -> str:
        for old, new in steps:
            self.devices = [
                dataclasses.replace(one, name=new) if one.name == old else one for one in self.devices
            ]
        return ""

    def delete(self, names: Iterable[str]) -> str:
        self.deleted += names
        return ""

    def reload(self) -> None:
        self.reloads += 1

    def carry(self, plan: LinkPlan, names: Iterable[str]) -> str:
        self.looked_at = list(names)
        self.redirected = redirect.wanted(plan)
        return ""

    def ipv6(self, names: Iterable[str]) -> None:
        self.prepared += names


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(4)
    monkeypatch.setattr(ports, "read_devices", machine.read)
    monkeypatch.setattr(kernel, "rename", machine.rename)
    monkeypatch.setattr(kernel, "delete_links", machine.delete)
    monkeypatch.setattr(kernel, "switch_off_ipv6", machine.ipv6)
    monkeypatch.setattr(ethtool, "prepare", lambda name: ([], []))
    monkeypatch.setattr(redirect, "carry", machine.carry)
    monkeypatch.setattr(kernel, "pass_group_frames", lambda names: [])
    monkeypatch.setattr(kernel, "largest_mtu", lambda names: dict.fromkeys(names, 9000))
    monkeypatch.setattr(configure, "_reload_networkd", machine.reload)
    return machine


@pytest.mark.spec("L2")
def test_ports_are_named_and_remembered(machine: Machine, tmp_path: Path) -> None:
    found = name_ports(memory(tmp_path))
    assert found == Interfaces(("mgmt0",), ("port1", "port2", "port3"), "02:00:00:00:00:00")
    assert machine.prepared == ["port1", "port2", "port3"]
    assert json.loads(memory(tmp_path).read_text())["02:00:00:00:00:02"] == "port2"
    # the next start: one card is missing, the names of the others stay
    machine.devices = [
        dataclasses.replace(one, name=f"x{one.name}") for one in machine.devices if one.name != "port1"
    ]
    assert name_ports(memory(tmp_path)).measuring == ("port2", "port3")


@pytest.mark.parametrize("content", ["", "[]", '{"02:00:00:00:00:00": 7}', "\xff"])
def test_a_damaged_memory_means_a_first_start(machine: Machine, tmp_path: Path, content: str) -> None:
    memory(tmp_path).write_text(content, encoding="latin-1")
    assert name_ports(memory(tmp_path)).management == ("mgmt0",)
    assert json.loads(memory(tmp_path).read_text())["02:00:00:00:00:00"] == "mgmt0"


def test_without_a_place_to_remember_the_ports_are_named_all_the_same(
    machine: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert name_ports(memory(tmp_path / "file")).management == ("mgmt0",)
    assert "could not be kept" in caplog.text
    caplog.clear()
    assert name_ports(memory(tmp_path / "file"), running=True).management == ("mgmt0",)
    assert "could not be kept" not in caplog.text, "that is looked at once a second"


@pytest.mark.spec("L1")
def test_changes_at_run_time(machine: Machine, tmp_path: Path) -> None:
    files = tmp_path / "network"
    found = name_ports(memory(tmp_path))
    assert write_files(Settings(), found, files)
    refresh(Settings(), memory(tmp_path), directory=files)
    assert machine.reloads == 0
    assert machine.redirected == {"port1": "port2", "port2": "port1"}
    assert machine.looked_at == ["port1", "port2", "port3", "mgmt0"], "none may have one from a former name"
    refresh(Settings(links=Links(mode="sink")), memory(tmp_path), directory=files)
    assert (machine.deleted, machine.reloads) == (["br1"], 1)
    assert machine.redirected == {}
    refresh(Settings(), memory(tmp_path), directory=files)
    assert (machine.deleted, machine.reloads) == (["br1"], 2)
    assert (files / "10-allegro-br1.netdev").exists()


@pytest.mark.spec("L2")
def test_a_port_that_is_plugged_in_gets_a_name_and_a_link(machine: Machine, tmp_path: Path) -> None:
    files = tmp_path / "network"
    write_files(Settings(), name_ports(memory(tmp_path)), files)
    machine.prepared.clear()
    machine.devices.append(NetworkDevice("eth9", "wired", "pci0000:00/0000:00:01.5", "02:00:00:00:00:99"))
    assert refresh(Settings(), memory(tmp_path), directory=files).measuring[-1] == "port4"
    assert (files / "10-allegro-br2.netdev").exists()
    assert {"port4", "br2"} <= set(machine.prepared)
    machine.devices.pop()
    refresh(Settings(), memory(tmp_path), directory=files)
    assert not (files / "10-allegro-br2.netdev").exists()
    assert machine.deleted == ["br2"]


@pytest.mark.spec("L2")
def test_ports_are_given_other_names_and_back(machine: Machine, tmp_path: Path) -> None:
    name_ports(memory(tmp_path))
    before = known_names(memory(tmp_path))
    reassign(memory(tmp_path), {"mgmt0": "port1", "port1": "mgmt0"})
    macs = {one.name: one.mac[-2:] for one in machine.devices}
    assert macs == {"port1": "00", "mgmt0": "01", "port2": "02", "port3": "03"}
    assert name_ports(memory(tmp_path), running=True).management_mac.endswith("01")
    assert machine.prepared[-1] == "port1", "it was for management, and is to measure now"
    machine.devices = [dataclasses.replace(one, name=f"x{one.name}") for one in machine.devices]
    assert name_ports(memory(tmp_path)).management_mac.endswith("01"), "kept over a restart"
    restore_names(memory(tmp_path), before)
    assert {one.name: one.mac[-2:] for one in machine.devices}["mgmt0"] == "00"
    assert known_names(memory(tmp_path)) == before


@pytest.mark.spec("L2", "S2")
def test_names_that_cannot_be_read_are_not_written_over(machine: Machine, tmp_path: Path) -> None:
    name_ports(memory(tmp_path))
    reassign(memory(tmp_path), {"mgmt0": "port1", "port1": "mgmt0"})
    names, copy = known_names(memory(tmp_path)), tmp_path / ".ports.json.good"
    memory(tmp_path).write_bytes(b"{")
    assert known_names(memory(tmp_path)) == names, "damaged: its copy counts"
    copy.unlink()
    memory(tmp_path).unlink()
    memory(tmp_path).mkdir()
    assert known_names(memory(tmp_path)) == {}
    assert name_ports(memory(tmp_path), running=True).management_mac.endswith("01"), "names in use stay"
    assert memory(tmp_path).is_dir()
    assert not copy.exists(), "nothing was written instead of what cannot be read"


def test_a_name_that_cannot_be_given_is_told(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_ports(memory(tmp_path))
    monkeypatch.setattr(kernel, "rename", lambda steps: "RTNETLINK answers: Device or resource busy")
    with pytest.raises(Unavailable, match="Device or resource busy"):
        reassign(memory(tmp_path), {"port1": "port9"})
    with pytest.raises(Unavailable, match="Device or resource busy"):
        restore_names(memory(tmp_path), {})


@pytest.mark.spec("N3")
def test_a_temporary_address_comes_into_the_file_of_the_first_management_port(
    machine: Machine, tmp_path: Path
) -> None:
    files = tmp_path / "network"
    refresh(Settings(), memory(tmp_path), Claim("192.168.77.1/24"), directory=files)
    assert "Address=192.168.77.1/24" in (files / "10-allegro-mgmt0.network").read_text()
    refresh(Settings(), memory(tmp_path), directory=files)
    assert "192.168.77.1" not in (files / "10-allegro-mgmt0.network").read_text()
