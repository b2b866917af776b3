"""Filters and packets at random, in the one form that the parser gives them (for hypothesis)."""

from hypothesis import strategies as st

from allegro.filters.fields import ORDERS, PORT_MAX, Field, Kind, Operator, operators
from allegro.filters.tree import NONE, And, Bpf, Compare, Mac, Network, Not, Or, Ports, Tree


def values(field: Field, operator: Operator) -> st.SearchStrategy[object]:
    """Values of a field; small numbers and few addresses, so that packets have them, too."""
    match field.type.kind:
        case Kind.NETWORK:
            found: st.SearchStrategy[object] = st.one_of(networks(4), networks(6))
        case Kind.MAC:
            sizes = st.integers(1, 6) if operator is Operator.LIKE else st.just(6)
            found = st.tuples(st.integers(0, (1 << 48) - 1), sizes).map(lambda pair: mac(*pair))
        case Kind.NUMBER:
            most = field.type.largest
            found = st.one_of(st.integers(0, min(20, most)), st.integers(0, most))
        case Kind.PORTS:
            found = st.lists(st.integers(0, PORT_MAX), min_size=1, max_size=6).map(ports)
        case Kind.NAME:
            found = st.one_of(
                st.sampled_from(["port1", "port2", "Port 1", "none"]),
                st.text(min_size=1, max_size=10).filter(str.strip),
            )
    if field.type.optional and operator not in ORDERS | {Operator.LIKE}:
        return st.one_of(found, st.just(NONE))
    return found


def networks(version: int) -> st.SearchStrategy[Network]:
    bits = 32 if version == 4 else 128
    near = 0xC0000200 if version == 4 else 0x20010DB8 << 96

    def made(pair: tuple[int, int]) -> Network:
        return Network(version, (near | pair[0]) >> bits - pair[1] << bits - pair[1], pair[1])

    return st.tuples(st.integers(0, 3), st.sampled_from([0, 8, bits - 1, bits])).map(made)


def mac(number: int, size: int) -> Mac:
    rest = 8 * (6 - size)
    return Mac(number >> rest << rest, ((1 << 48) - 1) >> rest << rest)


def ports(edges: list[int]) -> Ports:
    """Ranges between sorted numbers, none touching the next."""
    ordered = sorted(set(edges))
    ranges: list[tuple[int, int]] = []
    for first, last in zip(ordered[::2], ordered[1::2] or [], strict=False):
        if not ranges or ranges[-1][1] + 1 < first:
            ranges.append((first, last))
    return Ports(tuple(ranges) or ((ordered[0], ordered[0]),))


@st.composite
def comparisons(draw: st.DrawFn) -> Compare:
    field = draw(st.sampled_from(Field))
    operator = draw(st.sampled_from(sorted(operators(field), key=lambda one: one.value)))
    value = draw(values(field, operator))
    return Compare(field, operator, value)  # type: ignore[arg-type]


def _branches(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    def terms(without: type) -> st.SearchStrategy[tuple[Tree, ...]]:
        fitting = inner.filter(lambda term: not isinstance(term, without))
        return st.lists(fitting, min_size=2, max_size=4).map(tuple)

    return st.one_of(
        terms(And).map(And),
        terms(Or).map(Or),
        inner.filter(lambda term: not isinstance(term, Not)).map(Not),
    )


def trees() -> st.SearchStrategy[Tree]:
    """Whole filters, without the empty one."""
    leaves = st.one_of(comparisons(), comparisons(), st.text(max_size=20).map(Bpf))
    return st.recursive(leaves, _branches, max_leaves=12)
