"""What the screen shows, line by line. No I/O: from what is known of the device to text with emphasis.

Plain ASCII, because fonts and serial terminals differ; 80 columns and 24 lines are enough for the usual case.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from allegro.words import duration

Style = Literal["plain", "title", "good", "warning", "bad", "hint"]
Answer = Mapping[str, Any]

LABEL_WIDTH = 13
BAR_WIDTH = 20
HINT = "Keys: Shift+S own address | Shift+R reset and update | any other: draw anew"
SHORT_HINT = "Shift+S address | Shift+R reset"


@dataclass(frozen=True)
class Line:
    """One line, as wide as the screen at most. `text` begins at the left edge."""

    text: str
    style: Style = "plain"


@dataclass(frozen=True)
class Interface:
    """A network device as the kernel knows it: addresses with prefix length, whether it has a link."""

    name: str
    link: bool
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known. `status` is the answer of GET /status, None if the supervisor does not answer.

    `recorder` is what the recorder says of itself: "recording", "no-ring" or "starting", empty if it is
    silent. `clock` is the time of day to show (UTC), `leaving` that the system is going down.
    """

    name: str
    firmware: str
    clock: str
    interfaces: tuple[Interface, ...] = ()
    system_id: str = ""
    status: Answer | None = None
    recorder: str = ""
    leaving: bool = False
    starting: bool = False


def screen(facts: Facts, columns: int, rows: int) -> list[Line]:
    """At most `rows` lines of at most `columns` characters; what matters most comes first."""
    head = [_title(facts, columns), Line("-" * columns)]
    if facts.leaving:
        head.append(Line("The device is shutting down or starting again. Please wait.", "warning"))
    body = [*_state(facts), Line(""), *_messages(facts, columns)]
    hint = Line(HINT if len(HINT) <= columns else SHORT_HINT, "hint")
    free = max(rows - len(head) - 1, 0)
    if len(body) > free:
        body = [*body[: max(free - 1, 0)], Line("... more on the web page", "plain")][:free]
    body += [Line("")] * (free - len(body))
    return [Line(line.text[:columns], line.style) for line in (*head, *body, hint)][:rows]


def _title(facts: Facts, columns: int) -> Line:
    left, right = f" {facts.name}   Allegro {facts.firmware}", f"{facts.clock} "
    return Line(left + right.rjust(max(columns - len(left), len(right) + 1)), "title")


def _state(facts: Facts) -> list[Line]:
    return [
        _recording(facts),
        *_web_page(facts),
        *(_interface(each) for each in facts.interfaces if _manages(each)),
        _ports(facts),
        *_presenters(facts),
        _labelled("System id", facts.system_id or "not known"),
    ]


def _labelled(label: str, text: str, style: Style = "plain") -> Line:
    return Line(f" {label:<{LABEL_WIDTH}}{text}", style)


def _recording(facts: Facts) -> Line:
    state = facts.recorder
    message = ""
    if facts.status is not None:
        ring = facts.status["ring"]
        state, message = ring["state"], ring["message"]
        if state == "recording":
            message = f"reaches back {duration(ring['reach_back_s'])}" + (f" - {message}" if message else "")
    match state:
        case "recording":
            return _labelled("Recording", f"yes{', ' if message else ''}{message}", "good")
        case "starting":
            return _labelled("Recording", "starting", "warning")
        case "no-ring":
            return _labelled("Recording", f"NO{': ' if message else ''}{message}", "bad")
        case _:
            return _labelled("Recording", "not known: the recorder has not been heard of", "bad")


def _web_page(facts: Facts) -> list[Line]:
    addresses = [
        address.partition("/")[0]
        for each in facts.interfaces
        for address in each.addresses
        if ":" not in address
    ]
    pages = [f"https://{address}" for address in addresses] or ["no address yet"]
    lines = [_labelled("Web page", pages[0], "plain" if addresses else "warning")]
    lines += [_labelled("", page) for page in pages[1:]]
    if addresses:
        lines.append(_labelled("", f"https://{facts.name}.local"))
    return lines


def _manages(interface: Interface) -> bool:
    return not interface.name.startswith("port") and (
        bool(interface.addresses) or interface.name.startswith(("mgmt", "wl"))
    )


def _interface(interface: Interface) -> Line:
    label = "Management" if interface.name.startswith("mgmt") else "WiFi" if _is_wifi(interface) else ""
    link = "link up" if interface.link else "NO LINK"
    parts = [interface.name, link, *interface.addresses]
    return _labelled(label or "Network", "  ".join(parts), "plain" if interface.link else "warning")


def _is_wifi(interface: Interface) -> bool:
    return interface.name.startswith("wl")


def _ports(facts: Facts) -> Line:
    ports = sorted(
        (int(each.name.removeprefix("port")), each.link)
        for each in facts.interfaces
        if each.name.startswith("port") and each.name.removeprefix("port").isdecimal()
    )
    if not ports:
        return _labelled("Ports", "none", "bad")
    text = "  ".join(f"{number} {'up' if link else 'down'}" for number, link in ports)
    return _labelled("Ports", text, "plain" if any(link for _, link in ports) else "warning")


def _presenters(facts: Facts) -> list[Line]:
    if facts.status is None:
        return []
    return [_labelled("Presenter", ", ".join(facts.status["presenters"]) or "none plugged in")]


def _messages(facts: Facts, columns: int) -> list[Line]:
    """Long actions first, because somebody waits for them; then problems, the worst first."""
    if facts.status is None:
        if facts.leaving:
            return []
        if facts.starting:
            return [Line(" The device is starting ...", "warning")]
        words = (
            "The control program does not answer: it is busy, or it is being started again by itself. Presses"
            " and web page have to wait meanwhile. If this message stays for more than five minutes, switch"
            " the device off and on."
        )
        return _wrapped(words, columns, "bad")
    lines: list[Line] = []
    for action in facts.status["actions"]:
        lines += _action(action, columns)
    if lines:
        lines.append(Line(""))
    for problem in facts.status["problems"]:
        style: Style = "bad" if problem["severity"] == "error" else "warning"
        lines += _wrapped(problem["text"], columns, style, "! ")
        lines += _wrapped(problem["remedy"], columns, "plain", "  ")
    if not facts.status["problems"] and all(each["state"] != "failed" for each in facts.status["actions"]):
        lines.append(Line(" No problems.", "good"))
    return lines


def _action(action: Answer, columns: int) -> list[Line]:
    styles: dict[str, Style] = {"running": "warning", "done": "good", "failed": "bad"}
    lines = _wrapped(action["text"], columns, styles[action["state"]], "> ")
    if action["state"] == "running" and action["progress"] is not None:
        filled = round(BAR_WIDTH * action["progress"])
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        lines.append(Line(f"   [{bar}] {action['progress']:.0%}", "warning"))
    return lines


def _wrapped(text: str, columns: int, style: Style, mark: str = "") -> list[Line]:
    rest = " " * (len(mark) + 1)
    wrapped = textwrap.wrap(text, max(columns - 1, 10), initial_indent=f" {mark}", subsequent_indent=rest)
    return [Line(line, style) for line in wrapped]


def changes(before: Sequence[Line] | None, now: Sequence[Line]) -> list[tuple[int, Line]]:
    """The lines to draw, with their row (from 1); all of them if nothing is known of what is shown."""
    if before is None or len(before) != len(now):
        return list(enumerate(now, 1))
    return [(row, new) for row, (old, new) in enumerate(zip(before, now, strict=True), 1) if old != new]
