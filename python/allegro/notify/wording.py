"""Which events are told, to whom, and in which sentence. No I/O."""

from collections.abc import Mapping

from allegro.events.event import Event
from allegro.notify.notice import WAYS, Notice, Severity, WayName, problem_id
from allegro.settings.notifications import Notifications, Told

_TOLD: Mapping[str, tuple[str, Severity]] = {
    "press": ("presses", "info"),
    "capture": ("captures", "info"),
    "capture-failed": ("captures", "warning"),
    "upload": ("uploads", "info"),
    "problem": ("problems", "warning"),
    "problem-over": ("problems", "info"),
    "release": ("firmware", "info"),
    "login": ("access", "info"),
    "login-failed": ("access", "warning"),
    "logout": ("access", "info"),
    "download": ("access", "info"),
    "password": ("changes", "info"),
    "user": ("changes", "info"),
    "token": ("changes", "info"),
    "certificate": ("changes", "info"),
    "settings": ("changes", "info"),
    "network": ("changes", "info"),
    "clock": ("changes", "info"),
    "firmware": ("changes", "info"),
    "firmware-order": ("changes", "info"),
    "file": ("changes", "info"),
    "power": ("changes", "info"),
    "reset": ("changes", "info"),
    "change": ("changes", "info"),
}
"""Kind of an event → the field of `Told` that asks for it, and how serious it is."""


def wanted_by(event: Event, settings: Notifications) -> tuple[WayName, ...]:
    """The ways by which it is to be told. None tells of its own trouble: it would only do so afterwards."""
    known = _TOLD.get(event.kind)
    if known is None:
        return ()
    return tuple(
        way
        for way in WAYS
        if is_on(settings, way)
        and getattr(_told(settings, way), known[0])
        and event.source != problem_id(way)
    )


def is_of_people(event: Event) -> bool:
    """Whether it tells who came in or did something, which anybody can make happen as often as he likes."""
    return event.kind in _TOLD and _TOLD[event.kind][0] in ("access", "changes")


def is_on(settings: Notifications, way: WayName) -> bool:
    """Whether this way is switched on."""
    return bool(getattr(settings, way).enabled)


def notice_of(event: Event, notice_id: str, device: str, zone: str) -> Notice:
    """The notice of an event that is wanted by some way."""
    return Notice(notice_id, event.time_ns, event.kind, _TOLD[event.kind][1], device, zone, sentence(event))


def trial_notice(notice_id: str, time_ns: int, device: str, zone: str) -> Notice:
    """What "send a test" sends."""
    return Notice(
        notice_id,
        time_ns,
        "test",
        "info",
        device,
        zone,
        "This is a test: notifications arrive here.",
        number=0,
    )


def sentence(event: Event) -> str:
    """What happened, as one sentence with a full stop."""
    text = event.text.rstrip()
    if event.kind == "press":
        text += f" ({event.who})" if event.who else f" on {event.source}"
    elif is_of_people(event):
        text = text.rstrip(".") + _by(event)
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _by(event: Event) -> str:
    """Who, from where, how often."""
    places = ", ".join(each for each in (event.who, event.source) if each)
    times = f", {event.count} times" if event.count > 1 else ""
    return f"{f' ({places})' if places else ''}{times}"


def _told(settings: Notifications, way: WayName) -> Told:
    told: Told = getattr(settings, way).tell
    return told
