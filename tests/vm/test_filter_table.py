"""Several files for one press: by groups, VLAN, with limits, while somebody captures live."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab
from tests.harness.captures import Packet, check, read_capture
from tests.harness.device import ApiRefusedError
from tests.harness.frames import number_of, series, udp_frame
from tests.harness.live import LiveCapture
from tests.harness.waiting import PATIENCE, wait_for

COUNT = 60
"""Frames of each kind; those of port1 have the VLAN 7 in every third place."""

GROUPS = [{"name": "Before", "interfaces": "port1"}, {"name": "Behind", "interfaces": "port2"}]
ROWS: list[dict[str, Any]] = [
    {"name": "before", "filter": 'group == "Before"'},
    {"name": "behind", "filter": 'group == "Behind"', "packet_length": 60},
    {"name": "vlan", "filter": "vlan == 7", "key": "next"},
    {"name": "all", "format": "pcap"},
    {"name": "other key", "key": "prev"},
    {"name": "off", "enabled": False},
]


@pytest.mark.spec("T4", "T5", "L4", "F5", "R8")
def test_a_press_makes_a_file_for_each_row_while_somebody_captures_live(lab: Lab, tmp_path: Path) -> None:
    device, (left, right) = lab.device, lab.ports
    wrong = [*ROWS[:2], {"name": "wrong", "filter": 'group == "Besides"'}]
    with pytest.raises(ApiRefusedError, match="Besides") as refused:
        device.set({"groups": {"links": GROUPS}, "trigger": {"rows": wrong}})
    assert (refused.value.status, refused.value.place) == (422, "trigger.rows.2.filter")
    assert (device.get("/settings")["trigger"]["rows"], device.get("/settings")["groups"]["links"]) == (
        [],
        [],
    )
    device.set({"groups": {"links": GROUPS}, "trigger": {"rows": ROWS, "before_s": 600}})
    device.plug_presenter()

    with LiveCapture(lab.machine, tmp_path / "live.pcapng") as live:
        left.send_all(udp_frame(at, series=1, vlans=() if at % 3 else ((0x8100, 7),)) for at in range(COUNT))
        right.send_all(series(COUNT, number=2))
        device.wait_recorded(2 * COUNT)
        lab.machine.presenter.press("next")
        (job,) = device.wait_jobs(1)
        wait_for(lambda: len(live.packets()) >= 2 * COUNT, "all frames in the live capture", 60, 0.5)

    assert (job["state"], job["message"], job["limited"]) == ("complete", "", False)
    rows = job["rows"]
    stem = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(job["press_ns"] // 10**9)) + "_presenter_next"
    suffixes = ("_before.pcapng", "_behind.pcapng", "_vlan.pcapng", "_all.pcap")
    assert [row["file"] for row in rows] == [stem + suffix for suffix in suffixes]
    assert [row["packets"] for row in rows] == [COUNT, COUNT, COUNT // 3, 2 * COUNT]
    before, behind, vlan, everything = (_packets(lab, row, tmp_path) for row in rows)
    assert [number_of(packet.data) for packet in before] == [(1, at) for at in range(COUNT)]
    assert [number_of(packet.data) for packet in vlan] == [(1, at) for at in range(0, COUNT, 3)]
    assert [packet.data for packet in behind] == [frame[:60] for frame in series(COUNT, number=2)]
    assert {packet.length for packet in behind} == {128}
    assert everything == sorted(everything, key=lambda packet: packet.time_ns)
    assert [packet.data for packet in before] == [
        packet.data for packet in everything if (number_of(packet.data) or (0,))[0] == 1
    ]
    words = lab.machine.pull(f"/data/storage/{stem}_all.pcap.txt").decode()
    assert "row of the filter table: all" in words
    assert f"packets: {2 * COUNT}" in words
    streamed = [(packet.time_ns, packet.data) for packet in live.packets()]
    assert streamed == [(packet.time_ns, packet.data) for packet in everything]


def _packets(lab: Lab, row: dict[str, Any], folder: Path) -> list[Packet]:
    """Of a row's file; a classic one is read by way of Wireshark's own converter."""
    file = lab.device.fetch(row, folder)
    if file.suffix == ".pcapng":
        return check(file).packets
    converted = file.with_suffix(".converted")
    subprocess.run(["editcap", "-F", "pcapng", str(file), str(converted)], check=True, timeout=60 * PATIENCE)
    return read_capture(converted).packets
