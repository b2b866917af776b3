"""How a mistake in a filter is told."""

from allegro.errors import InvalidInput


class FilterError(InvalidInput):
    """A text that is no filter: `message` says where, what is there, and what was expected.

    `column`: of the first character that does not fit, counted from 1; one more than the text is long if
    something is missing at its end. `length`: how many characters from there, 0 at the end.
    """

    def __init__(self, message: str, *, column: int, length: int) -> None:
        super().__init__(message)
        self.column = column
        self.length = length
