"""What the screen shows, line by line. No I/O: from what is known of the device to text with emphasis.

Plain ASCII, because fonts and serial terminals differ, but for QR codes, which need half blocks; 80 columns
and 24 lines are enough for the usual case.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from allegro import joining, new_device
from allegro.console.codes import Code, drawn
from allegro.words import duration

Style = Literal["plain", "title", "good", "warning", "bad", "hint", "code"]
Answer = Mapping[str, Any]

LABEL_WIDTH = 13
BAR_WIDTH = 20
FIRST_PASSWORDS = "first-passwords"
"""The id of the problem that a device has as long as everybody can know what lets in."""
CODES_KEY = "q"
HINT = "Keys: Shift+S own address | Shift+R reset and update | any other: draw anew"
HINT_OF_CODES = "Keys: Shift+S own address | Shift+R reset and update | Q QR codes"
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
    silent. `wifi` is the answer of GET /wifi, asked only of a new device. `wants_codes`: somebody has pressed
    the key for them. `clock` is the time of day to show (UTC), `leaving` that the system is going down.
    """

    name: str
    firmware: str
    clock: str
    interfaces: tuple[Interface, ...] = ()
    system_id: str = ""
    status: Answer | None = None
    recorder: str = ""
    wifi: Answer | None = None
    wants_codes: bool = False
    leaving: bool = False
    starting: bool = False


def screen(facts: Facts, columns: int, rows: int) -> list[Line]:
    """At most `rows` lines of at most `columns` characters; what matters most comes first."""
    head = [_title(facts, columns), Line("-" * columns)]
    if facts.leaving:
        head.append(Line("The device is shutting down or starting again. Please wait.", "warning"))
    body = [*_state(facts), Line(""), *_messages(facts, columns)]
    offered = _offered(facts)
    keys = HINT_OF_CODES if offered else HINT
    hint = Line(keys if len(keys) <= columns else SHORT_HINT, "hint")
    free = max(rows - len(head) - 1, 0)
    if offered and facts.wants_codes:
        body = _codes(offered, columns, free)
    elif offered and (codes := _side_by_side(offered, columns, free - len(body) - 1)):
        body = [*body, Line(""), *codes]
    if len(body) > free:
        body = [*body[: max(free - 1, 0)], Line("... more on the web page", "plain")][:free]
    body += [Line("")] * (free - len(body))
    return [Line(line.text[:columns], line.style) for line in (*head, *body, hint)][:rows]


def _offered(facts: Facts) -> list[Code]:
    """To join the WiFi and to open the page, as long as a password is that of a new device."""
    problems = facts.status["problems"] if facts.status else ()
    new = [each for each in problems if each["id"] == FIRST_PASSWORDS]
    if not new:
        return []
    offered = []
    wifi = facts.wifi if facts.wifi and facts.wifi["mode"] == "access-point" and facts.wifi["ssid"] else None
    if wifi and wifi["first_password"]:
        said = f"Join the WiFi {wifi['ssid']}, password {new_device.WIFI_PASSWORD}"
        offered.append(Code(said, joining.wifi(wifi["ssid"], new_device.WIFI_PASSWORD)))
    addresses = [*(wifi["addresses"] if wifi else ()), *_addresses(facts)]
    if addresses:
        page = f"https://{addresses[0].partition('/')[0]}/"
        first = f", first log-in: {new_device.PAGE_USER}, {new_device.PAGE_PASSWORD}"
        said = f"Open {page}{first if any('page' in each['text'] for each in new) else ''}"
        offered.append(Code(said, page))
    return offered


def _codes(offered: Sequence[Code], columns: int, rows: int) -> list[Line]:
    """As many as the screen has room for, the first of all; of the others what a person reads."""
    for shown in (offered, offered[:1], offered[1:]):
        said = [
            line for code in offered if code not in shown for line in _wrapped(code.caption, columns, "plain")
        ]
        if codes := _side_by_side(shown, columns, rows - len(said)):
            return [*said, *codes]
    said = [line for code in offered for line in _wrapped(code.caption, columns, "plain")]
    return [
        *_wrapped("This screen is too small for the QR codes. Without them:", columns, "plain"),
        Line(""),
        *said,
    ]


def _side_by_side(codes: Sequence[Code], columns: int, rows: int) -> list[Line]:
    """Nothing if there is no room for them."""
    drawn_rows = drawn(codes)
    sides = ("Left", "Right") if len(codes) > 1 else ("Code",)
    captions = [
        line
        for side, code in zip(sides, codes, strict=False)
        for line in _wrapped(f"{side}: {code.caption}", columns, "plain")
    ]
    if not drawn_rows or len(drawn_rows[0]) > columns or len(captions) + len(drawn_rows) > rows:
        return []
    return [*captions, *(Line(row, "code") for row in drawn_rows)]


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
    style: Style = "good"
    if facts.status is not None:
        ring = facts.status["ring"]
        if ring["in_memory_since"]:
            style = "warning"
        state, message = ring["state"], ring["message"]
        if state == "recording":
            message = f"reaches back {duration(ring['reach_back_s'])}" + (f" - {message}" if message else "")
    match state:
        case "recording":
            return _labelled("Recording", f"yes{', ' if message else ''}{message}", style)
        case "starting":
            return _labelled("Recording", "starting", "warning")
        case "no-ring":
            return _labelled("Recording", f"NO{': ' if message else ''}{message}", "bad")
        case _:
            return _labelled("Recording", "not known: the recorder has not been heard of", "bad")


def _web_page(facts: Facts) -> list[Line]:
    addresses = _addresses(facts)
    pages = [f"https://{address}" for address in addresses] or ["no address yet"]
    lines = [_labelled("Web page", pages[0], "plain" if addresses else "warning")]
    lines += [_labelled("", page) for page in pages[1:]]
    if addresses:
        lines.append(_labelled("", f"https://{facts.name}.local"))
    return lines


def _addresses(facts: Facts) -> list[str]:
    """Those of IPv4, without their prefix length."""
    return [
        address.partition("/")[0]
        for each in facts.interfaces
        for address in each.addresses
        if ":" not in address
    ]


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
