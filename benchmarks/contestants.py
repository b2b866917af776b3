"""The programs that are compared: how each is started, and how to count what it has put on disk.

Each gets 64 MiB of memory between kernel and program, and writes real files to the same file system.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from allegro.capture import status
from allegro.capture.ring import record as blocks
from allegro.capture.ring.reader import RingReader

PORT = "port1"
MIB = 1 << 20
BUFFER_MIB = 64
NOBODY = 65534
RING_SIZE = 2560 * MIB


@dataclass(frozen=True)
class Stored:
    """What a program has put on disk."""

    packets: int
    size: int


@dataclass(frozen=True)
class Contestant:
    """`prepare` makes what the program needs in an empty folder and returns its command line."""

    name: str
    prepare: Callable[[Path], list[str]]
    count: Callable[[Path], Stored]
    ready: Callable[[Path], bool] | None = None
    """Whether the program has started, if it can tell; the others get a fixed time."""


def recorder_command(directory: Path) -> list[str]:
    """Makes what the recorder needs in an empty folder, and returns its command line."""
    # On the device, too, the status lies in memory.
    state = directory / "memory"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "allegro-bench", str(state)], check=True)
    settings = {
        "ring_directory": str(directory / "ring"),
        "ring_size": RING_SIZE,
        "status_file": str(state / "status.json"),
        "blocks_per_port": BUFFER_MIB,
    }
    (directory / "recorder.json").write_text(json.dumps(settings))
    return [sys.executable, "-m", "allegro.capture.recorder", str(directory / "recorder.json")]


def recorder_is_ready(directory: Path, ports: int = 1) -> bool:
    """Whether it records so many ports, and the ring has its size."""
    try:
        report = status.from_json((directory / "memory" / "status.json").read_bytes())
    except (OSError, ValueError):
        return False
    complete = report.ring is not None and report.ring.size >= RING_SIZE
    return report.state == status.RECORDING and len(report.ports) == ports and complete


def _allegro_count(directory: Path) -> Stored:
    with RingReader(directory / "ring") as reader:
        records = reader.records(0, 1 << 62)
    ring = directory / "ring"
    beside = sum(path.stat().st_size for path in (*ring.glob("*.index"), *ring.glob("*.summary")))
    return Stored(sum(ref.packets for ref in records), sum(ref.length for ref in records) + beside)


def _tcpdump(directory: Path) -> list[str]:
    buffer = str(BUFFER_MIB * 1024)
    return [
        "tcpdump",
        "-i",
        PORT,
        "-n",
        "-B",
        buffer,
        "-s",
        "0",
        "-Z",
        "root",
        "-w",
        str(directory / "out.pcap"),
    ]


def _dumpcap(directory: Path) -> list[str]:
    return ["dumpcap", "-q", "-i", PORT, "-B", str(BUFFER_MIB), "-w", str(directory / "out.pcapng")]


def _netsniff(directory: Path) -> list[str]:
    ring = f"{BUFFER_MIB}MiB"
    return [
        "netsniff-ng",
        "--in",
        PORT,
        "--out",
        str(directory / "out.pcap"),
        "--silent",
        "--ring-size",
        ring,
    ]


def stenotype(directory: Path, *options: str) -> list[str]:
    """Makes its folders, and returns its command line."""
    for name in ("PKT0", "IDX0"):
        (directory / name).mkdir()
    for path in (directory, directory / "PKT0", directory / "IDX0"):
        os.chown(path, NOBODY, NOBODY)
    who = ["--uid=nobody", "--gid=nogroup", "--seccomp=none"]
    sizes = [f"--blocks={BUFFER_MIB}", "--aiops=32", "--threads=1", "--filesize_mb=4000", "--blockage_sec=1"]
    return ["stenotype", f"--dir={directory}", f"--iface={PORT}", *sizes, *who, *options]


def _pcap_count(directory: Path) -> Stored:
    (path,) = directory.glob("out.*")
    return Stored(packets_in(path), path.stat().st_size)


def packets_in(path: Path) -> int:
    """Of a pcap or pcapng file; 0 if it is none."""
    told = subprocess.run(["capinfos", "-c", "-M", str(path)], capture_output=True, text=True)
    match = re.search(r"Number of packets:\s+(\d+)", told.stdout)
    return int(match[1]) if match else 0


def stenotype_count(directory: Path) -> Stored:
    """What is in its files: TPACKET_V3 blocks of 1 MiB one after the other, without anything else."""
    packets = size = 0
    for path in (directory / "PKT0").iterdir():
        with path.open("rb") as file:
            for offset in range(0, path.stat().st_size, MIB):
                file.seek(offset)
                head = file.read(blocks.PRIVATE_OFFSET)
                if len(head) == blocks.PRIVATE_OFFSET and (count := blocks.packet_count(head)):
                    packets += count
                    size += MIB
    size += sum(path.stat().st_size for path in (directory / "IDX0").iterdir())
    return Stored(packets, size)


ALLEGRO = "allegro"
UNINDEXED = "stenotype --no_index"
"""For information: it cannot find packets again, so it is no peer."""

CONTESTANTS = (
    Contestant(ALLEGRO, recorder_command, _allegro_count, recorder_is_ready),
    Contestant("tcpdump", _tcpdump, _pcap_count),
    Contestant("dumpcap", _dumpcap, _pcap_count),
    Contestant("netsniff-ng", _netsniff, _pcap_count),
    Contestant("stenotype", stenotype, stenotype_count),
    Contestant(UNINDEXED, lambda directory: stenotype(directory, "--no_index"), stenotype_count),
)
