"""The one text of a filter: what `parse` understands as this tree again."""

from allegro.filters.tree import And, Bpf, Compare, Not, Or, Tree
from allegro.filters.values import quoted, written


def canonical(tree: Tree) -> str:
    """Of a tree that `parse` returned."""
    match tree:
        case And(terms):
            return " and ".join(_inside(term) for term in terms)
        case Or(terms):
            return " or ".join(_inside(term) for term in terms)
        case Not(term):
            return f"!({canonical(term)})"
        case Bpf(expression):
            return f"bpf({quoted(expression)})"
        case Compare(field, operator, value):
            return f"{field.type.name} {operator.value} {written(field, value)}"


def _inside(tree: Tree) -> str:
    return f"({canonical(tree)})" if isinstance(tree, And | Or) else canonical(tree)
