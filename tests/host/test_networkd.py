"""Our files for systemd-networkd, read by a real one (of this machine) in namespaces of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from allegro.network import links, management, networkd_files
from allegro.settings.settings_file import validated
from tests.conftest import Tell

PORTS = ["port1", "port2", "port3", "port4"]
STATES: dict[str, dict[str, Any]] = {
    "bridge": {},
    "sink": {"links": {"pairs": [{"pair": 1, "mode": "sink"}]}},
    "server": {
        "management": {
            "mode": "server",
            "address": "192.168.5.1/24",
            "lease_first": "192.168.5.50",
            "lease_last": "192.168.5.59",
        }
    },
}


@pytest.mark.timeout(180)
@pytest.mark.spec("L1", "L3", "L5", "N1")
@pytest.mark.parametrize("carried_by", ["wires", "bridges"])
def test_a_pair_is_switched_without_the_other_and_leases_are_given(
    tmp_path: Path, tell: Tell, carried_by: str
) -> None:
    for name, raw in STATES.items():
        settings = validated(raw)
        written = links.network_files(links.plan(settings.links, PORTS), dict.fromkeys(PORTS, 65535))
        networkd_files.write(
            written | management.network_files(settings, ["mgmt0"]), tmp_path / "states" / name
        )
    inside = Path(__file__).with_name("networkd_inside.py")
    answer = tmp_path / "answer.json"
    done = subprocess.run(
        [
            *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("env", "container=lxc"),  # there is no udev that would have to name the devices first
            *(sys.executable, str(inside), str(tmp_path / "states"), str(answer), carried_by),
        ],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(answer.read_text())
    tell(
        f"{carried_by}: forwarding ends after {max(found['closings']):.3f} s at most,"
        f" begins after {max(found['openings']):.3f} s at most"
    )
    assert found["second pair"], "the other pair has lost frames, or their order"
    assert found["others"] == [0, 0, 0, 0], "frames of the device's own"
    assert found["back"] == [0, 0]
    assert found["mtu"] == "9216"
    address, server = found["lease"]
    assert server == "192.168.5.1"
    assert 50 <= int(address.rpartition(".")[2]) <= 59
