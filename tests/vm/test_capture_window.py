"""A capture holds the frames of its window: each once, unchanged, in order, with its port and time."""

import time
from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.harness.captures import Capture, comment_fields, tshark_fields
from tests.harness.frames import number_of, series, udp_frame
from tests.harness.sending import FrameStream
from tests.harness.waiting import PATIENCE


def numbers(capture: Capture, port: str) -> list[tuple[int, int] | None]:
    return [number_of(packet.data) for packet in capture.packets if packet.port == port]


@pytest.mark.spec("R1", "R4", "T3", "T5", "T6")
def test_exactly_the_frames_of_the_window_are_in_the_file(lab: Lab, tmp_path: Path) -> None:
    device, (left, right) = lab.device, lab.ports
    device.set({"trigger": {"before_s": 3, "after_s": 2}})
    device.plug_presenter()
    with FrameStream(left, series=1) as from_left, FrameStream(right, series=2) as from_right:
        time.sleep(5)
        pressed = lab.machine.presenter.press("next")
        time.sleep(4 * PATIENCE)  # what a press may be late, and the two seconds after it
    (job,) = device.wait_jobs(1)
    cut = device.fetch_checked(job, tmp_path)
    everything = device.capture(tmp_path, before_s=600)

    timeline = {port["name"]: sum(port["packets"]) for port in device.get("/ring/timeline")["ports"]}
    sent = {"port1": from_left.sent, "port2": from_right.sent}
    # Each of its 300 steps is rounded to a tenth.
    assert {name: timeline[name] for name in sent} == pytest.approx(sent, abs=300 * 0.05)

    # What was sent is there once, by the port that it came in by, as it was sent.
    assert numbers(everything, "port1") == [(1, number) for number in range(from_left.sent)]
    assert numbers(everything, "port2") == [(2, number) for number in range(from_right.sent)]
    by_port = {"port1": 1, "port2": 2}
    for packet in everything.packets:
        found = number_of(packet.data)
        assert found is not None
        assert packet.data == udp_frame(found[1], series=by_port[packet.port])
        assert packet.length == len(packet.data)
    # The window's file is exactly the part between its two ends, and there was something on either side.
    start, end = job["press_ns"] - 3 * 10**9, job["press_ns"] + 2 * 10**9
    assert cut.packets == [packet for packet in everything.packets if start <= packet.time_ns <= end]
    assert everything.packets[0].time_ns < start < cut.packets[0].time_ns
    assert cut.packets[-1].time_ns < end < everything.packets[-1].time_ns
    assert abs(job["press_ns"] - device.guest_ns(pressed)) < 10**9 * PATIENCE
    assert job["packets"] == len(cut.packets)
    assert cut.ports[:2] == ["port1", "port2"]
    assert sum(statistics.os_drops or 0 for statistics in cut.statistics.values()) == 0
    assert job["file"] == (
        time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(job["press_ns"] // 10**9)) + "_presenter_next.pcapng"
    )


@pytest.mark.spec("R4", "T6", "T7")
def test_an_empty_window_is_a_file_that_says_why_and_a_frame_just_before_the_trigger_is_in_the_file(
    lab: Lab, tmp_path: Path
) -> None:
    """There is no sound device, which nothing complains of."""
    empty = lab.device.capture(tmp_path, before_s=1)
    assert empty.packets == []
    assert "No packet is in this file" in empty.comment
    assert comment_fields(empty)["system_id"] == lab.device.status()["system_id"]

    frame = udp_frame(7, series=7)
    lab.ports[0].send(frame)
    lab.ports[1].wait_frames([frame])
    capture = lab.device.capture(tmp_path, before_s=60)
    assert [packet.data for packet in capture.packets] == [frame]
    assert lab.device.problems() == []


@pytest.mark.spec("R1", "W12")
def test_frames_of_every_size_come_out_whole_and_vlan_tags_stay_as_they_were(
    lab: Lab, tmp_path: Path
) -> None:
    tagged = [
        udp_frame(0),
        udp_frame(1, vlans=((0x8100, 100),)),
        udp_frame(2, vlans=((0x8100, 0xE000 | 4094),)),  # priority 7
        udp_frame(3, vlans=((0x88A8, 200), (0x8100, 300))),
        udp_frame(4, vlans=((0x8100, 5), (0x8100, 6))),
        udp_frame(5, vlans=((0x8100, 0),)),  # priority tag only
    ]
    sized = [udp_frame(number, series=1, size=size) for number, size in enumerate(range(72, 1515, 7))]
    frames = tagged + sized
    lab.ports[0].send_all(frames)
    lab.ports[1].wait_frames(frames)
    job = lab.device.wait_job(lab.device.trigger(before_s=60)["id"])
    capture = lab.device.fetch_checked(job, tmp_path)
    assert [packet.data for packet in capture.packets] == frames
    seen = tshark_fields(tmp_path / job["file"], "ieee8021ad.id", "vlan.id")
    assert seen[: len(tagged)] == [
        ["", ""],
        ["", "100"],
        ["", "4094"],
        ["200", "300"],
        ["", "5,6"],
        ["", "0"],
    ]
    # The dissector of the image sees the same, without any right.
    looked = lab.device.get(f"/packets?file={job['file']}")
    assert [row["length"] for row in looked["packets"]] == [len(frame) for frame in frames]
    assert {row["protocol"] for row in looked["packets"][: len(tagged)]} == {"UDP"}
    status = lab.machine.run(
        "for each in /proc/[0-9]*; do grep -qs '^Name:.sharkd$' $each/status && cat $each/status; done; true"
    )
    rights = dict(line.split(":", 1) for line in status.stdout.splitlines() if ":" in line)
    assert int(rights["Uid"].split()[0]) >= 61184, "a user of its own (systemd: dynamic users)"
    assert {int(rights[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
    assert (rights["NoNewPrivs"].strip(), rights["Seccomp"].strip()) == ("1", "2")


@pytest.mark.spec("T3", "T6", "R1")
def test_a_ring_smaller_than_the_window_says_what_is_missing(lab: Lab, tmp_path: Path) -> None:
    device, left = lab.device, lab.ports[0]
    device.set({"recording": {"ring_size_mib": 16}})
    device.wait_ready()
    begin = device.guest_ns(time.time_ns())
    before = device.get("/ring")["packets"]
    left.send_all(series(20_000, size=1000))
    device.wait_recorded(before + 20_000)
    job = device.wait_job(device.trigger(before_s=120)["id"])
    capture = device.fetch_checked(job, tmp_path)
    found = [number for number in (number_of(packet.data) for packet in capture.packets) if number]
    assert 0 < len(found) < 20_000
    assert found == [(0, number) for number in range(20_000 - len(found), 20_000)], "not the newest"
    assert "note: " in capture.comment
    assert "overwritten" in capture.comment or "reach" in capture.comment
    assert job["message"], "the person who looks at the job is not told"
    assert capture.packets[0].time_ns > begin
