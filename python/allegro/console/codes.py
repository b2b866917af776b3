"""QR codes as text: two modules, one above the other, in each character. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

GLYPHS = {(0, 0): " ", (1, 0): "\u2580", (0, 1): "\u2584", (1, 1): "\u2588"}
"""Upper and lower module, dark or not, on light. Every font of the kernel has these (code page 437)."""

_BORDER = 4  # ISO/IEC 18004, in modules


@dataclass(frozen=True)
class Code:
    """`text` is what the camera reads, `caption` what a person reads."""

    caption: str
    text: str


def drawn(codes: Sequence[Code]) -> list[str]:
    """The codes side by side, to be shown in black on white."""
    pictures = [_picture(code.text) for code in codes]
    height = max(map(len, pictures), default=0)
    padded = [[*each, *[" " * len(each[0])] * (height - len(each))] for each in pictures]
    return ["".join(parts) for parts in zip(*padded, strict=True)]


@lru_cache(maxsize=4)
def _picture(text: str) -> tuple[str, ...]:
    import segno  # not before somebody needs a code

    code = segno.make_qr(text, error="l", encoding="utf-8")
    rows = [[int(bool(module)) for module in row] for row in code.matrix_iter(border=_BORDER)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return tuple("".join(GLYPHS[pair] for pair in zip(upper, lower, strict=True)) for upper, lower in pairs)
