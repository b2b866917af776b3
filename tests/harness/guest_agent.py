"""Runs inside the guest (see agent.py): carries out requests that come as JSON lines by virtio-serial.

Injected at run time, never part of an image. Standard library only; must not import anything of the project.
"""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PORT_NAME = "org.allegro.bench"


def find_port() -> str:
    """Return the device node of the bench's virtio-serial port, waiting for its driver."""
    while True:
        for name in Path("/sys/class/virtio-ports").glob("*/name"):
            node = Path("/dev") / name.parent.name
            if name.read_text().strip() == PORT_NAME and node.exists():
                return str(node)
        time.sleep(0.1)


def execute(request: dict[str, Any]) -> dict[str, Any]:
    command = request["command"]
    environment = os.environ | {"HOME": "/root", "LANG": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    process = subprocess.Popen(
        command,
        shell=isinstance(command, str),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
        env=environment,
    )
    try:
        out, err = process.communicate(base64.b64decode(request.get("input", "")), request["timeout"])
        timed_out = False
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        timed_out = True
    return {
        "returncode": process.returncode,
        "stdout": base64.b64encode(out).decode(),
        "stderr": base64.b64encode(err).decode(),
        "timed_out": timed_out,
    }


def read_file(request: dict[str, Any]) -> dict[str, Any]:
    with Path(request["path"]).open("rb") as file:
        file.seek(request["offset"])
        return {"data": base64.b64encode(file.read(request["length"])).decode()}


def write_file(request: dict[str, Any]) -> dict[str, Any]:
    with Path(request["path"]).open("r+b" if request["offset"] else "wb") as file:
        file.seek(request["offset"])
        file.write(base64.b64decode(request["data"]))
        file.truncate()
    return {}


def clock(request: dict[str, Any]) -> dict[str, Any]:
    if "add_ns" in request:
        time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() + request["add_ns"])
    return {"time_ns": time.time_ns()}


def http_request(request: dict[str, Any]) -> dict[str, Any]:
    """One HTTP request over a unix socket: far cheaper than starting a program for each."""
    import http.client  # only here: it costs the booting guest time

    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(request["timeout"])
    try:
        connection.sock.connect(request["socket"])
        headers = {"Content-Type": "application/json"} if request["body"] else {}
        connection.request(request["method"], request["path"], request["body"], headers)
        response = connection.getresponse()
        return {"status": response.status, "body": response.read().decode()}
    finally:
        connection.close()


OPERATIONS = {
    "execute": execute,
    "read": read_file,
    "write": write_file,
    "clock": clock,
    "http": http_request,
}


def main() -> None:
    port = os.open(find_port(), os.O_RDWR)
    lock = threading.Lock()

    def answer(request: dict[str, Any]) -> None:
        try:
            result = OPERATIONS[request["operation"]](request)
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        data = json.dumps({"id": request["id"], **result}).encode() + b"\n"
        with lock:
            while data:
                data = data[os.write(port, data) :]

    waiting = b""
    while True:
        piece = os.read(port, 65536)
        if not piece:  # the host's side is not connected
            waiting = b""
            time.sleep(0.05)
            continue
        *lines, waiting = (waiting + piece).split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:
                print("not a request:", line[:80], file=sys.stderr)
                continue
            if request["operation"] == "clock":  # at once: the caller measures the round trip
                answer(request)
            else:
                threading.Thread(target=answer, args=(request,), daemon=True).start()


if __name__ == "__main__":
    main()
