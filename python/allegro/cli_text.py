"""What the command line shows to people: pure functions from the API's answers to text."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from allegro.words import duration

Answer = dict[str, Any]

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def table(rows: Iterable[Sequence[object]], indent: str = "") -> str:
    """Columns aligned by blanks; the last one is as long as it is."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(indent + line.rstrip() for line in lines)


def size(count: float | None) -> str:
    """`12.3 MiB`; a dash if it is not known."""
    if count is None:
        return "-"
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 100 else f"{value:.1f} {_UNITS[unit]}"


def number(count: int | None) -> str:
    """`1 234 567`; a dash if it is not known."""
    return "-" if count is None else f"{count:,}".replace(",", " ")


def moment(time: str | None) -> str:
    """`2026-11-21 14:30:05` of an ISO 8601 time in UTC; a dash if there is none."""
    return "-" if time is None else time[:19].replace("T", " ")


def status(answer: Answer) -> str:
    """The device at a glance."""
    storage = answer["storage"]
    export = f"on, {answer['uploads_waiting']} waiting" if answer["export_enabled"] else "off"
    head = [
        ("Device", f"{answer['name']}, Allegro {answer['firmware']}"),
        ("System id", answer["system_id"]),
        ("Time", f"{moment(answer['time'])} UTC"),
        ("Recording", _recording(answer["ring"])),
        ("Storage", f"{size(storage['free'])} of {size(storage['size'])} free, {storage['files']} captures"),
        ("SFTP export", export),
        ("Presenter", ", ".join(answer["presenters"]) or "none plugged in"),
    ]
    parts = [table(head), ports(answer["ring"]["ports"])]
    if answer["jobs"]:
        parts.append("Last captures\n" + jobs(answer["jobs"], indent="  "))
    if answer["actions"]:
        parts.append(actions(answer["actions"]))
    parts.append(problems(answer["problems"]))
    return "\n\n".join(part for part in parts if part)


def log(answer: Answer) -> str:
    """Messages, one line each."""
    return table(
        (moment(each["time"]), each["level"], f"{each['program']}: {each['text']}")
        for each in answer["entries"]
    )


def _recording(answer: Answer) -> str:
    words = {
        "recording": f"yes, reaches back {duration(answer['reach_back_s'])}",
        "starting": "starting",
        "no-ring": "no",
        "silent": "no",
    }
    text = words[answer["state"]]
    return f"{text}: {answer['message']}" if answer["message"] else text


def ports(answer: Sequence[Answer]) -> str:
    """The measuring ports."""
    rows: list[Sequence[object]] = [("Port", "Link", "Packets", "Packets/s", "Bytes/s", "Lost")]
    rows += (
        (
            port["name"],
            "up" if port["link_up"] else "down",
            number(port["packets"]),
            number(round(port["packets_per_s"])),
            size(port["bytes_per_s"]),
            number(port["drops"] + port["nic_missed"]),
        )
        for port in answer
    )
    return table(rows) if answer else "No measuring ports."


def actions(answer: Sequence[Answer]) -> str:
    """Long actions: how far they are, how they ended."""
    rows = []
    for action in answer:
        known = action["state"] == "running" and action["progress"] is not None
        rows.append(
            (action["name"], f"{action['progress']:.0%}" if known else action["state"], action["text"])
        )
    return "Actions\n" + table(rows, indent="  ")


def problems(answer: Sequence[Answer]) -> str:
    """What is wrong, with what to do."""
    if not answer:
        return "No problems."
    lines = (f"  {problem['text']}\n    {problem['remedy']}" for problem in answer)
    return "Problems\n" + "\n".join(lines)


def ring(answer: Answer) -> str:
    """The packet ring."""
    lines = [
        ("Recording", _recording(answer)),
        ("Size", f"{size(answer['size'])}, {size(answer['used'])} used"),
        ("Oldest packet", moment(answer["oldest_time"])),
        ("Newest packet", moment(answer["newest_time"])),
        ("Reaches back", duration(answer["reach_back_s"])),
        ("In the ring", f"{number(answer['ring_packets'])} packets, {size(answer['ring_bytes'])}"),
        ("Since start", f"{number(answer['packets'])} packets, {size(answer['bytes'])}"),
        ("Now", f"{number(round(answer['packets_per_s']))} packets/s, {size(answer['bytes_per_s'])}/s"),
        (
            "Lost since start",
            f"{number(answer['drops'])} in the device, {number(answer['nic_missed'])} in the NIC",
        ),
        ("Refused writes", number(answer["write_errors"])),
    ]
    return f"{table(lines)}\n\n{ports(answer['ports'])}"


def jobs(answer: Sequence[Answer], indent: str = "") -> str:
    """A list of captures."""
    if not answer:
        return "No captures yet."
    rows: list[Sequence[object]] = [("No.", "Press (UTC)", "By", "State", "Packets", "Size", "File")]
    rows += (
        (
            job["id"],
            moment(job["press_time"]),
            _by(job),
            job["state"],
            number(job["packets"]),
            size(job["size"]),
            job["file"] or job["message"],
        )
        for job in answer
    )
    return table(rows, indent)


def job(answer: Answer) -> str:
    """One capture."""
    lines = [
        ("Capture", answer["id"]),
        ("State", answer["state"]),
        (
            "Press",
            f"{moment(answer['press_time'])} UTC, {answer['source']} {answer['key']} {answer['device']}",
        ),
        ("Window", f"{moment(answer['start_time'])} to {moment(answer['end_time'])} UTC"),
    ]
    if answer["packets"] is not None:
        lines.append(("Packets", f"{number(answer['packets'])}, {number(answer['drops'])} lost"))
    if answer["file"]:
        lines.append(("File", f"{answer['file']}, {size(answer['size'])}, in {answer['directory']}"))
    if answer["message"]:
        lines.append(("Message", answer["message"]))
    return table(lines)


def _by(answer: Answer) -> str:
    return f"{answer['source']} {answer['key']}" + (f" ({answer['device']})" if answer["device"] else "")


def files(answer: Sequence[Answer]) -> str:
    """The finished captures."""
    if not answer:
        return "No files."
    rows: list[Sequence[object]] = [("File", "Size", "Completed (UTC)", "Where")]
    rows += (
        (file["name"], size(file["size"]), moment(file["modified_time"]), file["directory"])
        for file in answer
    )
    return table(rows)


def export(answer: Answer) -> str:
    """The export, with the reason for each file that could not be sent."""
    lines: list[Sequence[object]] = [
        ("SFTP export", answer["state"]),
        ("Server", answer["server"] or "not set"),
        ("Host key", answer["host_key"] or "not accepted yet"),
        ("Public key", answer["public_key"] or "-"),
        ("Next upload", moment(answer["next_run_time"])),
    ]
    if answer["problem"]:
        lines.append(("Problem", answer["problem"]))
    if run := answer["last_run"]:
        text = f"{moment(run['started_time'])} UTC, {run['sent']} sent, {run['failed']} failed"
        lines.append(
            ("Last upload", f"{text}: {run['error']} {run['remedy']}".rstrip() if run["error"] else text)
        )
    if running := answer["running"]:
        lines.append(("Now", f"{running['name']}: {size(running['done'])} of {size(running['size'])}"))
    queue = [("File", "Size", "State")]
    queue += ((each["name"], size(each["size"]), _waiting(each)) for each in answer["queue"])
    return f"{table(lines)}\n\n{table(queue) if answer['queue'] else 'Nothing waits for upload.'}"


def _waiting(answer: Answer) -> str:
    if answer["error"]:
        again = f" Next try {moment(answer['next_try_time'])} UTC." if answer["next_try_time"] else ""
        return f"failed {answer['attempts']} times: {answer['error']} {answer['remedy']}".rstrip() + again
    return "being sent" if answer["released"] else "waits for the next upload"


def wifi(answer: Answer) -> str:
    """The WiFi adapter, and the devices in its network."""
    lines: list[Sequence[object]] = [("WiFi", f"{answer['mode']}: {answer['state'].replace('-', ' ')}")]
    if answer["message"]:
        lines.append(("", f"{answer['message']} {answer['remedy']}".rstrip()))
    if adapter := answer["adapter"]:
        lines.append(("Adapter", f"{adapter['driver']}, {adapter['mac']}"))
    if answer["ssid"]:
        lines.append(("Network", answer["ssid"]))
    if answer["channel"]:
        security = answer["security"].upper()
        lines.append(("Channel", f"{answer['channel']} ({answer['band']} GHz), {security}"))
    if answer["addresses"]:
        lines.append(("Address", ", ".join(answer["addresses"])))
    if answer["signal_dbm"] is not None:
        lines.append(("Signal", f"{answer['signal_dbm']:.0f} dBm"))
    if answer["state"] != "on":
        return table(lines)
    rows: list[Sequence[object]] = [("Device", "Address", "Signal", "Since")]
    rows += (
        (
            f"{each['mac']} {each['name']}".rstrip(),
            each["address"] or "-",
            "-" if each["signal_dbm"] is None else f"{each['signal_dbm']:.0f} dBm",
            duration(each["connected_s"]),
        )
        for each in answer["clients"]
    )
    return f"{table(lines)}\n\n{table(rows) if answer['clients'] else 'Nobody is in this network.'}"


def wifi_networks(answer: Sequence[Answer]) -> str:
    """The networks in reach."""
    if not answer:
        return "No network was found."
    rows: list[Sequence[object]] = [("Signal", "Channel", "Encryption", "Network")]
    rows += (
        (f"{each['signal_dbm']:.0f} dBm", each["channel"] or "-", each["security"].upper(), each["ssid"])
        for each in answer
    )
    return table(rows)


def settings(answer: object, path: str = "") -> str:
    """Settings as lines `path = value`; one value alone is shown as it is."""
    if not isinstance(answer, dict):
        return value(answer)
    return table((name, "=", value(each)) for name, each in _leaves(answer, path))


def value(answer: object) -> str:
    """A value as `settings set` takes it."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _leaves(answer: Answer, path: str) -> Iterable[tuple[str, object]]:
    for name, each in answer.items():
        below = f"{path}.{name}" if path else name
        if isinstance(each, dict):
            yield from _leaves(each, below)
        else:
            yield below, each
