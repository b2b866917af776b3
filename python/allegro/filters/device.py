"""What a filter's names and expressions are checked against: facts of a device, passed in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

GroupTexts = Sequence[tuple[str, str]]
"""Link groups in their order: name, and the filter that says what belongs to it."""


@dataclass(frozen=True)
class Device:
    """Names that mean something; None: any does. `check_bpf` raises ValueError, in words, for an expression
    that libpcap does not accept.
    """

    interfaces: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    check_bpf: Callable[[str], None] = lambda _: None


ANY_DEVICE = Device()
