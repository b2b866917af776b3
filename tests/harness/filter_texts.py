"""What holds of each text that somebody may write as a filter."""

from allegro.filters.canonical import canonical
from allegro.filters.completion import complete
from allegro.filters.mistake import FilterError
from allegro.filters.parse import parse


def judge(text: str) -> None:
    """Any text is a filter, or a mistake with a place in it. Raises AssertionError."""
    try:
        tree = parse(text)
    except FilterError as error:
        begin, end = error.column, error.column + error.length
        placed = 1 <= begin <= end <= len(text) + 1
    else:
        placed = parse(canonical(tree)) == tree
    assert placed
    begun = complete(text)
    assert all(_fits(text[: begun.start], word) for word in begun.words)


def _fits(text: str, word: str) -> bool:
    """Whether what is wrong with both, if anything, is that they end, or was so before."""
    try:
        parse(text + word)
    except FilterError as error:
        return error.column == len(text + word) + 1 or word.endswith('"') or error.column <= len(text)
    return True
