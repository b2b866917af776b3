"""One line of the list of events, in which nothing can be forged."""

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal[
    "login",
    "login-failed",
    "logout",
    "password",
    "user",
    "token",
    "certificate",
    "settings",
    "network",
    "clock",
    "firmware",
    "firmware-order",
    "download",
    "file",
    "press",
    "capture",
    "capture-failed",
    "upload",
    "release",
    "power",
    "reset",
    "problem",
    "problem-over",
    "change",
]
"""What kind of event. `firmware`: what became of it; `firmware-order`: who had the device do something with
it; `release`: there is newer firmware; `change`: everything else that somebody had it do."""

LONGEST_WHO = 64
LONGEST_SOURCE = 64
LONGEST_TEXT = 200
"""Characters. With these, a line takes at most 2.5 kB in the file, and usually a tenth of that."""


@dataclass(frozen=True)
class Event:
    """`kind`: a Kind, or one that only a newer version knows. Times in ns since 1970 (UTC).

    `who`: user, `token:` and its name, `root`, or nobody. `source`: network address, presenter, part of the
    device. What happened several times is one event with a `count`: `time_ns` is the first of them, `last_ns`
    the last. `id` grows by one with each event; 0 until the event is in the list.
    """

    time_ns: int
    kind: str
    text: str
    who: str = ""
    source: str = ""
    count: int = 1
    last_ns: int = 0
    id: int = 0


class Note(Protocol):
    """Takes note of an event. Never waits for a disk, and raises nothing."""

    def __call__(  # noqa: D102
        self, kind: Kind, text: str, *, who: str = "", source: str = "", count: int = 1
    ) -> None: ...


def event(time_ns: int, kind: str, text: str, *, who: str = "", source: str = "", count: int = 1) -> Event:
    """An event of texts that anybody may have chosen: made visible, and cut."""
    return Event(
        time_ns=time_ns,
        kind=visible(kind, LONGEST_WHO),
        text=visible(text, LONGEST_TEXT),
        who=visible(who, LONGEST_WHO),
        source=visible(source, LONGEST_SOURCE),
        count=max(count, 1),
        last_ns=time_ns,
    )


def visible(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters: line breaks, control characters and all else that has
    no shape of its own (Unicode categories C and Z but the blank) as `\\u` and their number.
    """
    shown = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"
