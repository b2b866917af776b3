"""What the API answers about captures and the ring, for several commands."""

from typing import Any

JOB: dict[str, Any] = {
    "id": 7,
    "state": "accepted",
    "message": "",
    "source": "cli",
    "key": "manual",
    "device": "",
    "press_ns": 1,
    "press_time": "2026-11-21T14:30:05.123456789Z",
    "start_time": "2026-11-21T14:29:05.123456789Z",
    "end_time": "2026-11-21T14:30:05.123456789Z",
    "created_time": "2026-11-21T14:30:05.223456789Z",
    "finished_time": None,
    "before_s": 60.0,
    "after_s": 0.0,
    "filter": "",
    "progress": 0.0,
    "file": "",
    "directory": "",
    "size": None,
    "packets": None,
    "bytes": None,
    "drops": None,
    "format": "pcapng",
    "packet_length": 0,
    "size_limit_mib": 0,
    "limited": False,
    "rows": [],
}


COMPLETE = {
    **JOB,
    "state": "complete",
    "progress": 1.0,
    "file": "20261121T143005Z_cli_manual.pcapng",
    "directory": "storage",
    "size": 1234567,
    "packets": 4321,
    "drops": 0,
}


RING: dict[str, Any] = {
    "state": "recording",
    "message": "",
    "size": 1 << 30,
    "used": 1 << 20,
    "oldest_time": "2026-11-21T14:20:05.000000000Z",
    "newest_time": None,
    "ring_packets": 1234567,
    "ring_bytes": 5,
    "packets": 8,
    "bytes": 9,
    "packets_per_s": 1.5,
    "bytes_per_s": 2048.0,
    "drops": 3,
    "nic_missed": 4,
    "discarded": 0,
    "rules": "",
    "write_errors": 0,
    "directory": "/data/ring",
    "in_memory_since": None,
    "reach_back_s": 7300.0,
    "ports": [
        {
            "name": "port1",
            "link_up": True,
            "packets": 8,
            "bytes": 9,
            "drops": 3,
            "nic_missed": 4,
            "discarded": 0,
            "packets_per_s": 1.5,
            "bytes_per_s": 2048.0,
        }
    ],
}
