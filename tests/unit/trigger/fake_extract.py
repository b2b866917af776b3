"""Stands in for allegro.capture.extraction in the tests of the cutter: same contract, behaviour told by
a file beside the ring.

`behaviour` in the ring directory: empty = writes a file; `error`, `die`, `full`, `hang`, `silent`,
`linked-then-die`.
"""

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> int:
    request = json.load(sys.stdin)
    ring = Path(request["ring_directory"])
    behaviour = (ring / "behaviour").read_text() if (ring / "behaviour").exists() else ""
    with (ring / "calls").open("a") as calls:
        calls.write(json.dumps(request) + "\n")
    output = Path(request["output"])
    partial = output.with_name(f".{output.name}.partial")
    partial.write_bytes(b"half")
    say(progress={"fraction": 0.5, "packets": 3, "bytes": 300})
    if behaviour == "error":
        say(error={"message": "The ring is damaged.", "remedy": "Make a new one."})
        return 1
    if behaviour == "full":
        say(error={"message": f"Could not write: {os.strerror(errno.ENOSPC)}.", "remedy": ""})
        return 1
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "hang":
        while True:
            say(progress={"fraction": 0.5, "packets": 3, "bytes": 300})
            time.sleep(0.05)
    if behaviour == "silent":
        time.sleep(60)
    partial.write_bytes(b"capture " + str(request["start_ns"]).encode())
    os.link(partial, output)
    partial.unlink()
    if behaviour == "linked-then-die":
        os.kill(os.getpid(), signal.SIGKILL)
    say(
        result={
            "packets": 7,
            "bytes": 700,
            "file_size": output.stat().st_size,
            "first_ns": 1,
            "last_ns": 2,
            "drops": 1,
            "notes": ["One packet was lost."],
            "ports": [],
        }
    )
    return 0


def say(**message: object) -> None:
    print(json.dumps(message), flush=True)


sys.exit(main())
