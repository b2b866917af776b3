"""Show the main job in a virtual machine: traffic, key press, pcap, SFTP upload (`make demo`)."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from scripts.bench import Bench, Progress, require_host, run_main, set_up
from tests.harness import booted
from tests.harness.bench_errors import BenchError
from tests.harness.captures import check, comment_fields, protocol_table
from tests.harness.qemu import REPOSITORY, Configuration
from tests.harness.waiting import wait_for

DIRECTORY = REPOSITORY / "build" / "demo"


def show_capture(path: Path, press_ns: int) -> None:
    """Print what a capture holds."""
    capture = check(path)
    fields = comment_fields(capture)
    print(f"\n    {path.name}: {len(capture.packets)} packets, {path.stat().st_size} bytes")
    for key, value in fields.items():
        print(f"      {key}: {value}")
    print(f"\n    {'protocol':<12} {'packets':>8} {'bytes':>9}   seconds before the press")
    for line in protocol_table(path):
        first, last = ((press_ns - at) / 1e9 for at in (line.first_ns, line.last_ns))
        print(f"    {line.protocol:<12} {line.packets:>8} {line.size:>9}   {first:8.3f} … {last:.3f}")
    print(flush=True)


def upload(bench: Bench, name: str, say: Progress) -> Path:
    """Have the device upload that file and return the server's copy."""
    bench.device.post("/export/now")
    copy = bench.sftp.root / name

    def delivered() -> bool:
        status = bench.device.get("/export")
        waiting = [file for file in status["queue"] if file["name"] == name]
        if waiting and waiting[0]["error"]:
            raise BenchError(f"the upload failed: {waiting[0]['error']} {waiting[0]['remedy']}")
        return not waiting and copy.exists()

    wait_for(delivered, f"the upload (see {bench.sftp.log})", 60, 0.2)
    say("The SFTP server has it, and it has left the device's upload directory")
    return copy


def run_demo() -> None:
    """Do it, step by step."""
    require_host()
    say = Progress()
    first = "Starting the device for the first time: its state is saved, later demos go on from there"
    state = booted.ready(Configuration(), DIRECTORY / "logs", lambda: say(first))
    with set_up(DIRECTORY, state, say) as bench:
        device, machine = bench.device, bench.machine
        status = device.wait_ready()
        say(f"{status['name']} records on {', '.join(port['name'] for port in status['ring']['ports'])}")
        bench.topology.wait_connected()
        say("Port 1 and port 2 are a transparent bridge: client and server reach each other")
        fingerprint = bench.configure_export()
        say(f"Export is set up: the server's host key is {fingerprint}")
        for talk in bench.topology.talk():
            say(f"  client: {talk.what}: {talk.result}")
        seconds = device.plug_presenter()
        say(f"Plugged in an emulated Logitech R400; recognised after {seconds:.1f} s")
        machine.presenter.press("next")
        pressed = time.monotonic()
        say('Pressed its "next" key')
        (job,) = device.wait_jobs(1)
        if job["state"] != "complete":
            raise BenchError(f"the capture is {job['state']}: {job['message']}")
        say(f"The device has cut out the last minute, in {time.monotonic() - pressed:.1f} s")
        path = device.fetch(job, DIRECTORY)
        show_capture(path, int(job["press_ns"]))
        copy = upload(bench, job["file"], say)
        if copy.read_bytes() != path.read_bytes():
            raise BenchError(f"{copy} differs from {path}")
        say("The server's copy is the same, byte for byte")
    press_time = datetime.fromtimestamp(int(job["press_ns"]) / 1e9, UTC)
    print(f"\nThe last minute before {press_time:%H:%M:%S} UTC: {path}")
    print(f"As the SFTP server got it: {copy}")
    print(
        f"Done in {say.seconds():.0f} s. Next: open it with Wireshark, or `make run` to play with the device."
    )


if __name__ == "__main__":
    sys.exit(run_main(run_demo, DIRECTORY / "logs"))
