"""Mistakes and damage: a clear message each, nothing lost, and never a traceback for a user."""

import json
from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.harness.device import ApiRefusedError
from tests.harness.frames import number_of, series
from tests.harness.waiting import wait_for

WRONG_COMMANDS = {
    "unknown setting": ("settings set trigger.befor_s=5", "trigger.befor_s"),
    "filter that libpcap judges": ("trigger --filter 'bpf(\"tcp port\")'", "syntax error"),
}
"""Those of tests/host/test_supervisor.py that another libpcap, or another Python, might answer otherwise."""


@pytest.mark.spec("W6")
def test_wrong_commands_are_answered_in_plain_words(lab: Lab) -> None:
    """One machine for all: each command starts Python in an emulated processor."""
    before = lab.device.get("/settings")
    for case, (arguments, word) in WRONG_COMMANDS.items():
        result = lab.machine.run(f"allegro {arguments}", check=False)
        output = result.stdout + result.stderr
        assert result.returncode == 1, (case, output)
        assert word.lower() in output.lower(), (case, output)
        assert "Traceback" not in output, (case, output)
        assert 'File "' not in output, (case, output)
    as_json = lab.machine.run("allegro settings set --json trigger.before_s=-1", check=False)
    assert json.loads(as_json.stdout)["error"]["place"] == "trigger.before_s"
    assert lab.device.get("/settings") == before
    assert lab.device.jobs() == []


WRONG_REQUESTS: list[tuple[str, str, object]] = [
    ("PATCH", "/settings", {"links": {"mode": "router"}}),
    ("PATCH", "/settings", {"recording": {"port": "port99"}}),
    ("PATCH", "/settings", [1, 2]),
    ("POST", "/trigger", {"before_s": -1}),
    ("POST", "/trigger", {"ports": ["port99"]}),
    ("GET", "/jobs/0", None),
    ("GET", "/jobs?limit=-1", None),
    ("GET", "/nothing", None),
    ("DELETE", "/files/..%2f..%2fsettings.json", None),
]


@pytest.mark.spec("W6", "L2", "R6", "W3")
def test_wrong_requests_are_refused_with_message_and_place(lab: Lab) -> None:
    """A ring larger than the disk, too, and the old one goes on."""
    device = lab.device
    for method, path, body in WRONG_REQUESTS:
        with pytest.raises(ApiRefusedError) as caught:
            device.api(method, path, body)
        assert 400 <= caught.value.status < 500, (method, path, body)
        assert caught.value.message, (method, path, body)
        assert "Traceback" not in str(caught.value)
    before = device.get("/ring")["size"]
    with pytest.raises(ApiRefusedError, match="cannot be larger than its storage device"):
        device.set({"recording": {"ring_size_mib": 60_000_000}})
    lab.ports[0].send_all(series(10))
    device.wait_recorded(10)
    assert device.get("/ring")["size"] == before


@pytest.mark.spec("R2", "R5", "T6")
@pytest.mark.parametrize("restart", [False, True], ids=["while recording", "found at start"])
def test_a_damaged_ring_costs_only_what_is_damaged(lab: Lab, tmp_path: Path, restart: bool) -> None:
    device = lab.device
    sent = 12_000
    lab.ports[0].send_all(series(sent, size=1000))
    device.wait_recorded(sent)
    whole = device.capture(tmp_path, before_s=300)
    assert len(whole.packets) == sent
    if restart:
        lab.machine.run("systemctl stop allegro-recorder")
    # Three places in the middle of what is there: some of it noise, some of it zeros.
    lab.machine.run(
        "f=$(ls /data/ring/*.blocks | head -1);"
        "dd if=/dev/urandom of=$f bs=4096 seek=300 count=2 conv=notrunc;"
        "dd if=/dev/zero of=$f bs=4096 seek=900 count=300 conv=notrunc;"
        "printf 'X' | dd of=$f bs=1 seek=100000 conv=notrunc; sync; echo 3 > /proc/sys/vm/drop_caches"
    )
    if restart:
        lab.machine.run("rm -f /data/ring/*.index; systemctl start allegro-recorder", timeout=120)
        device.wait_ready()
    capture = device.capture(tmp_path, before_s=300)
    found = [number[1] for number in (number_of(packet.data) for packet in capture.packets) if number]
    assert sorted(set(found)) == found, "out of order or twice"
    assert sent / 2 < len(found) < sent
    assert "damaged" in capture.comment
    assert "Traceback" not in capture.comment
    # It goes on recording.
    lab.ports[0].send_all(series(100, number=8))
    after = device.capture(tmp_path, before_s=60)
    assert [number_of(p.data) for p in after.packets][-100:] == [(8, number) for number in range(100)]


@pytest.mark.spec("R5", "R8")
def test_without_a_ring_on_the_disk_packets_are_kept_in_memory(lab: Lab, tmp_path: Path) -> None:
    """By the recorder as the device runs it, with few rights; afterwards a capture is made of both."""
    device = lab.device

    def in_memory() -> bool:
        return device.get("/ring")["in_memory_since"] is not None

    for number, command in enumerate(
        ("chmod 0 /data/ring; systemctl restart allegro-recorder", "chmod 750 /data/ring")
    ):
        lab.machine.run(command, timeout=120)
        wait_for(lambda: in_memory() is (number == 0), "the other ring", 60)  # noqa: B023 (asked now)
        problems = {problem["id"] for problem in device.status()["problems"]}
        assert ("ring-in-memory" in problems) is (number == 0)
        lab.ports[0].send_all(series(300, number=number))
        device.wait_recorded(300 * (number + 1))
        capture = device.capture(tmp_path, before_s=600)
        found = [number_of(packet.data) for packet in capture.packets]
        assert found == [(each, frame) for each in range(number + 1) for frame in range(300)]


@pytest.mark.spec("W6", "S2")
def test_damaged_settings_give_way_to_their_copy_and_it_is_told(lab: Lab) -> None:
    lab.device.set({"trigger": {"before_s": 77}})
    lab.machine.run(
        'echo \'{"trigger": {"before_s": \' > /data/settings.json; systemctl restart allegro-supervisor'
    )
    status = lab.device.wait_ready()
    assert any(problem["id"] == "settings-damaged" for problem in status["problems"])
    assert lab.device.get("/settings")["trigger"]["before_s"] == 77


@pytest.mark.spec("I5", "R2")
@pytest.mark.parametrize("unit", ["allegro-recorder", "allegro-supervisor"])
def test_a_killed_process_comes_back_and_leaves_the_other_alone(lab: Lab, unit: str, tmp_path: Path) -> None:
    other = {"allegro-recorder": "allegro-supervisor", "allegro-supervisor": "allegro-recorder"}[unit]
    pid = f"systemctl show -P MainPID {other}"
    before = lab.machine.run(pid).stdout
    lab.ports[0].send_all(series(300))
    lab.device.wait_recorded(300)
    # What is not yet in the ring may be lost with the recorder.
    assert len(lab.device.capture(tmp_path, before_s=600).packets) == 300
    lab.machine.run(f"systemctl kill --kill-whom=main -s KILL {unit}; sleep 1")
    lab.device.wait_ready()
    assert lab.machine.run(pid).stdout == before
    lab.ports[0].send_all(series(300, number=1))
    capture = lab.device.capture(tmp_path, before_s=600)
    assert [number_of(p.data) for p in capture.packets] == [
        (number, frame) for number in (0, 1) for frame in range(300)
    ]
