"""The menu: built from the pages there are. A page names its place, nothing else has to be changed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from starlette.responses import Response

from allegro.web.roles import Role

if TYPE_CHECKING:
    from allegro.web.site import Visit

Handler = Callable[["Visit"], Awaitable[Response]]


@dataclass(frozen=True)
class Action:
    """What answers one address. `role`: the least that may use it; `poll`: the page asks, not the user."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    role: Role = "viewer"
    poll: bool = False
    before_new_password: bool = False  # can be used although a new password is due


@dataclass(frozen=True)
class Page:
    """A page in the menu.

    `group`: the headings that it stands under; `manual`: its page there, or a section of one
    (`network#links`).
    """

    title: str
    path: str
    manual: str
    actions: tuple[Action, ...]
    group: tuple[str, ...] = ()
    role: Role = "viewer"


@dataclass
class Heading:
    """A heading of the menu with what stands under it, in order."""

    title: str
    items: "list[Page | Heading]" = field(default_factory=list)


def menu(pages: Sequence[Page]) -> list[Page | Heading]:
    """The pages under their headings; a heading stands where its first page is."""
    root = Heading("")
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
