"""How a mistake in a filter is told."""

from allegro.errors import InvalidInput


class FilterError(InvalidInput):
    """A text that is no filter: where, what is there and what was expected; `remedy` is what may be meant.

    `column`: of the first character that does not fit, counted from 1; one more than the text is long if
    something is missing at its end. `length`: how many characters from there, 0 at the end.
    """

    def __init__(self, message: str, *, column: int, length: int, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.column = column
        self.length = length
