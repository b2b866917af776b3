"""What a device does with the text of a filter: check it, write it in one form, make a program of it."""

from collections.abc import Sequence

from allegro.errors import InvalidInput
from allegro.filters import libpcap
from allegro.filters.canonical import canonical
from allegro.filters.device import Device, GroupTexts
from allegro.filters.fields import Field
from allegro.filters.parse import parse
from allegro.filters.program import compiled
from allegro.filters.syntax import LONGEST
from allegro.filters.tree import And, Compare, Not, Or, Tree


def device_with(interfaces: Sequence[str] | None, groups: GroupTexts | None = ()) -> Device:
    """What filters are checked against where these are the measuring ports and the link groups; None: any
    name may be one."""
    return Device(
        tuple(interfaces) if interfaces is not None else None,
        tuple(name for name, _ in groups) if groups is not None else None,
        _check_bpf,
    )


def translated(
    text: str, interfaces: Sequence[str] | None = None, groups: GroupTexts | None = ()
) -> tuple[str, bytes]:
    """Canonical text and program of a filter.

    Raises FilterError for a mistake, with its place, InvalidInput for what is too large.
    """
    tree = parse(text, device_with(interfaces, groups))
    shown = canonical(tree)
    if len(shown) > LONGEST:
        raise InvalidInput(
            f"Written out, this filter is longer than {LONGEST} characters ({len(shown)}).",
            remedy="Write it shorter, such as by networks or ranges of ports.",
        )
    if not shown.isprintable():
        raise InvalidInput("A filter holds no control characters.", remedy="Write it in one line.")
    trees = [(name, parse(condition)) for name, condition in groups or ()] if names_group(tree) else []
    return shown, compiled(tree, trees, libpcap.compiled)


def checked(
    text: str,
    interfaces: Sequence[str] | None = None,
    *,
    groups: GroupTexts | None = (),
    place: str = "filter",
) -> str:
    """The canonical text of a filter; a mistake is told as one at `place`."""
    try:
        return translated(text, interfaces, groups)[0]
    except InvalidInput as error:
        error.place = place
        raise


def names_group(tree: Tree) -> bool:
    """Whether link groups decide about it."""
    match tree:
        case And(terms) | Or(terms):
            return any(map(names_group, terms))
        case Not(term):
            return names_group(term)
        case Compare(field):
            return field is Field.GROUP
    return False


def _check_bpf(expression: str) -> None:
    libpcap.compiled(expression)
