"""Passwords that whoever tries some finds first. Rules of how they are made, instead of a list of thousands.

Such a password consists of nothing but pieces of known kinds: words that everybody tries, the user's name,
neighbours on a keyboard or in the alphabet, one group over and over. Capitals, usual signs for letters (`@`
for a), and digits and signs before, between and behind do not make it another one. No I/O.
"""

from collections.abc import Iterator

_DEVICE = "the name of the device"
_TRIED_FIRST = "a word that is tried first"
_WORDS = {
    **dict.fromkeys(("allegro", "allegromm", "multimeter"), _DEVICE),
    **dict.fromkeys(("password", "passwort", "passwd", "pass", "admin", "administrator"), _TRIED_FIRST),
    **dict.fromkeys(("root", "user", "login", "welcome", "changeme", "letmein", "iloveyou"), _TRIED_FIRST),
}
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn")
_COLUMNS = ("qazwsxedcrfvtgbyhnujmikolp", "qayswxedcrfvtgbzhnujmikolp")
_LINES = (*_ROWS, *_COLUMNS, "abcdefghijklmnopqrstuvwxyz", "01234567890", "147258369")
_IN_ORDER = "keys or letters in their order"
_REPEATED = "the same over and over"

_SIGNS_FOR_LETTERS = str.maketrans("@430157$!", "aaeoistsi")
_SHORTEST_PIECE = 3
_LONGEST_GROUP = 4
"""Characters that are repeated; who repeats a longer word has at least chosen one."""


def evident(password: str, user: str) -> str:
    """What it is made of, in words, if nothing but that; empty if it is not evident."""
    plain = "".join(password.casefold().split())
    if not plain:
        return "blanks"
    letters = _letters(plain)
    core = plain.rstrip("".join(each for each in plain if not each.isalpha()))
    readings = [letters, _letters(core.translate(_SIGNS_FOR_LETTERS)), plain]
    if len(letters) < _SHORTEST_PIECE:
        readings.append("".join(filter(str.isdecimal, plain)))
    name = _letters(user.casefold())
    return next(filter(None, (_made_of(each, name) for each in readings)), "")


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text))


def _made_of(text: str, name: str) -> str:
    """The kinds of pieces that make up the whole text; empty if something else is in it, or nothing."""
    kinds: dict[int, tuple[str, ...]] = {0: ()}
    for start in range(len(text)):
        if (before := kinds.get(start)) is not None:
            for end, kind in _pieces(text, start, name):
                kinds.setdefault(end, before if kind in before else (*before, kind))
    return " and ".join(kinds.get(len(text), ())) or (_REPEATED if _is_repeated(text) else "")


def _is_repeated(text: str) -> bool:
    groups = range(1, min(_LONGEST_GROUP, len(text) // 2) + 1)
    return any(text == (text[:length] * len(text))[: len(text)] for length in groups)


def _pieces(text: str, start: int, name: str) -> Iterator[tuple[int, str]]:
    """Where known pieces end that begin here, and what they are."""
    if len(name) >= _SHORTEST_PIECE and text.startswith(name, start):
        yield start + len(name), "the name of the user"
    for word, kind in _WORDS.items():
        if text.startswith(word, start):
            yield start + len(word), kind
    for length in range(_SHORTEST_PIECE, len(text) - start + 1):
        piece = text[start : start + length]
        if len(set(piece)) == 1:
            yield start + length, _REPEATED
        elif any(piece in line or piece[::-1] in line for line in _LINES):
            yield start + length, _IN_ORDER
        else:
            return
