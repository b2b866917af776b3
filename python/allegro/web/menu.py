"""The menu: pages under headings. Of a page it knows only what it is called and where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar


class Titled(Protocol):
    """What the menu needs of a page. `group`: the headings that it stands under, the outermost first."""

    @property
    def title(self) -> str: ...  # noqa: D102

    @property
    def group(self) -> tuple[str, ...]: ...  # noqa: D102


P = TypeVar("P", bound=Titled)


@dataclass
class Heading(Generic[P]):
    """A heading of the menu with what stands under it, in order."""

    title: str
    items: "list[P | Heading[P]]" = field(default_factory=list)


def menu(pages: Sequence[P]) -> list[P | Heading[P]]:
    """The pages under their headings; a heading stands where its first page is."""
    root: Heading[P] = Heading("")
    for page in pages:
        here = root
        for title in page.group:
            below = next(
                (item for item in here.items if isinstance(item, Heading) and item.title == title), None
            )
            if below is None:
                below = Heading(title)
                here.items.append(below)
            here = below
        here.items.append(page)
    return root.items
