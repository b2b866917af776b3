"""What a job is: one press, the states that it goes through, and what becomes of it.

accepted -> waiting (for the end of the window, or for the recorder to have it on disk) -> cutting ->
complete or failed or cancelled; refused at the press.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from allegro.capture.extraction.shape import Format, Shape

State = Literal["accepted", "waiting", "cutting", "complete", "failed", "cancelled", "refused"]

END_STATES: Final[frozenset[State]] = frozenset({"complete", "failed", "cancelled", "refused"})

TRANSITIONS: Final[Mapping[State, frozenset[State]]] = {
    "accepted": frozenset({"waiting", "cutting", "failed", "cancelled"}),
    "waiting": frozenset({"cutting", "failed", "cancelled"}),
    "cutting": frozenset({"complete", "failed", "cancelled"}),
}


@dataclass(frozen=True)
class Job:
    """One press and what became of it. Times are UTC in nanoseconds since 1970, sizes bytes, progress 0..1.

    `directory` is storage or upload, and empty until that is decided. `file` is set when the file is
    about to appear under this name, which is after it was written completely. `packets`, `bytes` (of
    packet data) and `drops` are None as long as they are not known. `tries` counts how often work on it
    was begun; `press_boot_ns` is the press by the clock that nobody sets, of the start of the kernel
    `boot_id` (None and empty if not known). For `filter` and `groups` see `Content`; `content_held`: the
    file, or its rows (`JobStore.rows`), hold to it. `limited`: it, or one of them, ends at its size
    limit. `note` is what whoever asked for it wants to be known of it. Of the
    `reached` bytes of the ring in the window `read` were read.
    """

    id: int
    created_ns: int
    press_ns: int
    source: str
    key: str
    device: str
    before_ns: int
    after_ns: int
    state: State
    file: str = ""
    directory: str = ""
    size: int | None = None
    packets: int | None = None
    bytes: int | None = None
    drops: int | None = None
    progress: float = 0.0
    message: str = ""
    finished_ns: int | None = None
    tries: int = 0
    press_boot_ns: int | None = None
    boot_id: str = ""
    filter: str = ""
    groups: str = ""
    content_held: bool = False
    format: Format = "pcapng"
    packet_length: int = 0
    size_limit_mib: int = 0
    limited: bool = False
    note: str = ""
    read: int | None = None
    reached: int | None = None

    @property
    def shape(self) -> Shape:
        """What its file looks like."""
        return Shape(self.format, self.packet_length, self.size_limit_mib)

    @property
    def start_ns(self) -> int:
        """First moment of the window."""
        return self.press_ns - self.before_ns

    @property
    def end_ns(self) -> int:
        """Last moment of the window."""
        return self.press_ns + self.after_ns

    @property
    def end_boot_ns(self) -> int | None:
        """The same by the clock that nobody sets, if it is known."""
        return None if self.press_boot_ns is None else self.press_boot_ns + self.after_ns

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in END_STATES
