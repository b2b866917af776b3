"""Which of two firmware versions is newer: precedence of Semantic Versioning 2.0.0, section 11."""

import functools
import re
from dataclasses import dataclass
from typing import Literal

from allegro.errors import InvalidInput

Compared = Literal["newer", "same", "older", "unknown"]

_FORM = re.compile(
    r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
LONGEST = 64


@functools.total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """A version; what follows a + (the build) does not count."""

    numbers: tuple[int, int, int]
    pre_release: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Raises InvalidInput for what is no version such as 1.2.3 or 1.2.3-rc.1."""
        match = _FORM.fullmatch(text) if len(text) <= LONGEST else None
        if match is None:
            raise InvalidInput(f"{text[:LONGEST]!r} is not a version such as 1.2.3.", place="version")
        pre = tuple(match[4].split(".")) if match[4] else ()
        return cls((int(match[1]), int(match[2]), int(match[3])), pre)

    def _key(self) -> tuple[object, ...]:
        # Numbers come before words; a version comes after all its pre-releases.
        parts = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.pre_release)
        return (self.numbers, not self.pre_release, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()


def compared(version: str, running: str) -> Compared:
    """Whether `version` is newer or older than the `running` one; unknown if one of them is no version."""
    try:
        mine, other = Version.parse(version), Version.parse(running)
    except InvalidInput:
        return "unknown"
    if mine == other:
        return "same"
    return "newer" if mine > other else "older"
