"""Press a key of the emulated presenter of a running `make run`: python -m scripts.press next."""

import argparse
import socket
import sys
from pathlib import Path

CONTROL = Path(__file__).resolve().parents[1] / "build" / "run" / "control"


def main() -> int:
    """Send the request and print the answer; returns the exit code."""
    parser = argparse.ArgumentParser(prog="press", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("key", help="next, prev, play, stop, black; or plug, unplug")
    key = parser.parse_args().key
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(CONTROL.read_text())
        except OSError:
            print(
                "No device is running. Remedy: start one with `make run` in another terminal.",
                file=sys.stderr,
            )
            return 1
        with connection.makefile("rw") as stream:
            print(key, file=stream, flush=True)
            answer = stream.readline().strip()
    print(answer)
    return 0 if answer.startswith(("pressed", "plugged", "unplugged")) else 1


if __name__ == "__main__":
    sys.exit(main())
