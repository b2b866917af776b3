"""Names of capture files. No I/O."""

import itertools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from allegro.storage.capture_files import numbered

SUFFIX = ".pcapng"

LONGEST_ROW = 64
"""Characters of a row's name in that of its file."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNWANTED = re.compile(r"[^A-Za-z0-9-]+")


def file_name(
    press_ns: int, source: str, key: str, number: int = 1, *, row: str = "", suffix: str = SUFFIX
) -> str:
    """`20261121T143005Z_presenter_next.pcapng`: UTC time of the press (cut to the second), source, key,
    and the name of the row of the filter table, if there is one.

    From the second file of that name on it is numbered: `…_next_2.pcapng`.
    """
    moment = (_EPOCH + timedelta(seconds=press_ns // 1_000_000_000)).strftime("%Y%m%dT%H%M%SZ")
    parts = (moment, _part(source), _part(key), *([_part(row)[:LONGEST_ROW]] if row else []))
    return numbered("_".join(parts) + suffix, number)


def free_name(
    press_ns: int,
    source: str,
    key: str,
    taken: Callable[[str], bool],
    *,
    row: str = "",
    suffix: str = SUFFIX,
) -> str:
    """The first name in the sequence of `file_name` that is not `taken`."""
    candidates = (
        file_name(press_ns, source, key, number, row=row, suffix=suffix) for number in itertools.count(1)
    )
    return next(name for name in candidates if not taken(name))


def _part(text: str) -> str:
    """`_` separates the parts, so it may not occur in one; nothing may lead out of the directory either."""
    return _UNWANTED.sub("-", text).strip("-") or "unknown"
