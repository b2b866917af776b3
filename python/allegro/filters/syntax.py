"""Text → conditions joined by and, or, not: the grammar. What the conditions mean is not looked at here.

lark is loaded with the first filter, and its tables are made once: 0.1 s that no start has to wait for.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from allegro.filters import explain
from allegro.filters.explain import Word
from allegro.filters.mistake import FilterError

if TYPE_CHECKING:
    from lark import Lark, Token
    from lark.exceptions import UnexpectedInput

LONGEST = 4096
"""Characters of a text: a file says which filter held, and a mistake in more nobody would find."""

DEEPEST = 64
"""How many times `and`, `or` and `not` can be inside of each other: programs over trees call themselves."""

# Names, words of operators and values are told apart by where they stand (lark's contextual lexer).
_GRAMMAR = r"""
start: alternatives?
alternatives: conditions (_OR conditions)*
conditions: condition (_AND condition)*
?condition: _NOT condition -> negation
          | "(" alternatives ")"
          | NAME OPERATOR (VALUE | STRING) -> comparison
          | _BPF "(" STRING ")" -> expression

_OR: "||" | /or\b/i
_AND: "&&" | /and\b/i
_NOT.2: "!" | /not\b/i
_BPF.2: /bpf(?=\s*\()/i
NAME: /[A-Za-z_][\w.]*/
OPERATOR: /===|==|!=|<=|>=|<|>|~|eq\b|ne\b/i
VALUE: /[^\s()"!=<>~&|]+/
STRING: /"(?:\\.|[^"\\])*"/s
%ignore /\s+/
"""


@dataclass(frozen=True)
class Comparison:
    """A condition as it is written; `quoted`: its value is, and has its quotes here."""

    field: Word
    operator: Word
    value: Word
    quoted: bool
    depth: int = 0

    @property
    def start(self) -> int:
        """Offset in the text."""
        return self.field.start


@dataclass(frozen=True)
class Expression:
    """The text of bpf("…"), with its quotes."""

    text: Word
    depth: int = 0

    @property
    def start(self) -> int:
        """Offset in the text."""
        return self.text.start


@dataclass(frozen=True)
class Joined:
    """Two conditions or more with `and` or `or` between them, or one with `not` before it.

    No term of an `and` is an `and` itself, and so on; `depth` counts what is inside of each other.
    """

    word: Literal["and", "or", "not"]
    terms: "tuple[Condition, ...]"
    depth: int

    @property
    def start(self) -> int:
        """Offset of the first condition in the text."""
        return self.terms[0].start


Condition = Comparison | Expression | Joined


def read(text: str) -> Condition | None:
    """What is written; None for nothing. Raises FilterError."""
    if len(text) > LONGEST:
        raise explain.too_long(LONGEST)
    from lark.exceptions import UnexpectedInput

    try:
        found: Condition | None = _tables().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise _explained(text, error) from None
    return found


def accepted_after(text: str) -> tuple[set[str], list[tuple[str, Word]]]:
    """Which kinds of words of the grammar can follow on a text, and the words of what is unfinished in it.

    Nothing can if there is a mistake in it.
    """
    if len(text) > LONGEST:
        return set(), []
    from lark.exceptions import UnexpectedInput

    parser: Any = _tables().parse_interactive(text)
    try:
        parser.exhaust_lexer()
    except (UnexpectedInput, FilterError):
        return set(), []
    return parser.accepts(), _unfinished(parser)


@cache
def _tables() -> "Lark":
    from lark import Lark, Transformer

    class Builder(Transformer["Token", Condition | None]):
        """Called while the text is read, so that no depth of parentheses is a depth of calls."""

        def start(self, parts: list[Condition]) -> Condition | None:
            return parts[0] if parts else None

        def alternatives(self, parts: list[Condition]) -> Condition:
            return _joined("or", parts)

        def conditions(self, parts: list[Condition]) -> Condition:
            return _joined("and", parts)

        def negation(self, parts: list[Condition]) -> Condition:
            inner = parts[0]
            if isinstance(inner, Joined) and inner.word == "not":
                return inner.terms[0]
            return _bounded(Joined("not", (inner,), inner.depth + 1))

        def comparison(self, parts: "list[Token]") -> Condition:
            field, operator, value = (_word(token) for token in parts)
            return Comparison(field, operator, value, quoted=parts[2].type == "STRING")

        def expression(self, parts: "list[Token]") -> Condition:
            return Expression(_word(parts[0]))

    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=Builder())


def _joined(word: Literal["and", "or"], parts: list[Condition]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    terms: list[Condition] = []
    depth = 0
    for part in parts:
        if isinstance(part, Joined) and part.word == word:
            terms += part.terms
            depth = max(depth, part.depth)
        else:
            terms.append(part)
            depth = max(depth, part.depth + 1)
    return _bounded(Joined(word, tuple(terms), depth))


def _bounded(condition: Joined) -> Joined:
    if condition.depth > DEEPEST:
        raise explain.too_deep(condition.start, DEEPEST)
    return condition


def _word(token: "Token") -> Word:
    return Word(str(token), token.start_pos or 0)


def _explained(text: str, error: "UnexpectedInput") -> FilterError:
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    at = len(text)
    if isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
    elif isinstance(error, UnexpectedToken) and error.token.type != "$END":
        at = error.token.start_pos or 0
    parser: Any = error.interactive_parser
    return explain.unexpected(text, at, parser.accepts(), _unfinished(parser))


def _unfinished(parser: Any) -> list[tuple[str, Word]]:
    """Kind and text of the words that belong to no whole condition."""
    from lark import Token

    stack = parser.parser_state.value_stack
    return [(part.type, _word(part)) for part in stack if isinstance(part, Token)]
