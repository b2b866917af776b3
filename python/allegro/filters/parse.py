"""Text → checked tree: what the language is for all who use it."""

from allegro.filters import explain, syntax
from allegro.filters.device import ANY_DEVICE, Device
from allegro.filters.fields import Field, Kind, Operator, operators
from allegro.filters.syntax import Comparison, Condition, Expression
from allegro.filters.tree import EVERYTHING, And, Bpf, Compare, Not, Or, Tree, name_matches
from allegro.filters.values import Unfit, read, unquoted


def parse(text: str, device: Device = ANY_DEVICE) -> Tree:
    """The tree of a filter; a text of nothing but blanks means EVERYTHING.

    Raises FilterError for whatever is no filter on this device. Nothing else is raised, whatever the text.
    """
    written = syntax.read(text)
    return EVERYTHING if written is None else _checked(written, device)


def _checked(condition: Condition, device: Device) -> Tree:
    if isinstance(condition, Comparison):
        return _comparison(condition, device)
    if isinstance(condition, Expression):
        return _expression(condition, device)
    terms = tuple(_checked(term, device) for term in condition.terms)
    if condition.word == "not":
        return Not(terms[0])
    return And(terms) if condition.word == "and" else Or(terms)


def _comparison(written: Comparison, device: Device) -> Compare:
    field = explain.FIELDS.get(written.field.text.lower())
    if field is None:
        raise explain.unknown_field(written.field)
    operator = explain.OPERATORS[written.operator.text.lower()]
    if operator not in operators(field):
        raise explain.unfit_operator(field, written.operator)
    text = unquoted(written.value.text) if written.quoted else written.value.text
    try:
        value = read(field, operator, text, quoted=written.quoted)
    except Unfit as unfit:
        raise explain.unfit_value(field, operator, written.value, unfit, text) from None
    if field.type.kind is Kind.NAME and isinstance(value, str):
        names = device.groups if field is Field.GROUP else device.interfaces
        asked = Operator.EQUAL if operator is Operator.NOT_EQUAL else operator
        if names is not None and not any(name_matches(asked, value, name) for name in names):
            raise explain.unknown_name(field, written.value, text, names)
    return Compare(field, operator, value)


def _expression(written: Expression, device: Device) -> Bpf:
    text = unquoted(written.text.text)
    try:
        device.check_bpf(text)
    except ValueError as error:
        raise explain.unfit_expression(written.text, str(error)) from None
    return Bpf(text)
