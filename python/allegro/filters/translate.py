"""What a device does with the text of a filter: check it, write it in one form, make a program of it."""

from collections.abc import Sequence

from allegro.errors import InvalidInput
from allegro.filters import libpcap
from allegro.filters.canonical import canonical
from allegro.filters.device import Device
from allegro.filters.parse import parse
from allegro.filters.program import compiled
from allegro.filters.syntax import LONGEST


def device_with(interfaces: Sequence[str] | None) -> Device:
    """What filters are checked against where these are the measuring ports; None: any name may be one."""
    return Device(tuple(interfaces) if interfaces is not None else None, (), _check_bpf)


def translated(text: str, interfaces: Sequence[str] | None = None) -> tuple[str, bytes]:
    """Canonical text and program of a filter.

    Raises FilterError for a mistake, with its place, InvalidInput for what is too large.
    """
    tree = parse(text, device_with(interfaces))
    shown = canonical(tree)
    if len(shown) > LONGEST:
        raise InvalidInput(
            f"Written out, this filter is longer than {LONGEST} characters ({len(shown)}).",
            remedy="Write it shorter, such as by networks or ranges of ports.",
        )
    if not shown.isprintable():
        raise InvalidInput("A filter holds no control characters.", remedy="Write it in one line.")
    return shown, compiled(tree, (), libpcap.compiled)


def checked(text: str, interfaces: Sequence[str] | None = None, *, place: str = "filter") -> str:
    """The canonical text of a filter; a mistake is told as one at `place`."""
    try:
        return translated(text, interfaces)[0]
    except InvalidInput as error:
        error.place = place
        raise


def _check_bpf(expression: str) -> None:
    libpcap.compiled(expression)
