"""Who may do what: each route names the least role, and judges itself by it.

The web page knows who asks; it sends the user's name and role with each request. It does not judge, because
two programs that read a path in two ways would judge one thing and do another. What a path means only the
router says, so the route that it has found decides.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute

from allegro.accounts.roles import Role, includes
from allegro.api.asker import Forbidden, role_of
from allegro.errors import InvalidInput


class Requires:
    """What a route demands of who asks."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> None:
        """Raises Forbidden, and InvalidInput for what the route does not know: one letter too few, and a
        filter would not be asked for at all."""
        has = role_of(request.scope)
        if has is None:
            raise Forbidden("It is not known who asks.")
        if not includes(has, self.role):
            raise Forbidden(
                f"This needs the role {self.role}; you have the role {has}.",
                remedy="Ask an administrator of the device.",
            )
        if request.query_params:
            _refuse_unknown(request.query_params, _query(request.scope["route"].dependant))


def _refuse_unknown(asked: Iterable[str], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            remedy = f"Possible here: {', '.join(known)}." if known else "Nothing can be asked for here."
            raise InvalidInput("There is no such field.", place=name, remedy=remedy)


def _query(dependant: Dependant) -> list[str]:
    """The names of what a route, with all that it depends on, may be asked for behind `?`."""
    own = [field.alias for field in dependant.query_params]
    return [*own, *(name for each in dependant.dependencies for name in _query(each))]


def requires(role: Role) -> Any:
    """For `dependencies=` of a route: the least role that may use it."""
    return Depends(Requires(role))


def roles(router: APIRouter) -> Mapping[tuple[str, str], Role]:
    """(method, path) of each route → the least role. Raises TypeError for a route without one."""
    found: dict[tuple[str, str], Role] = {}
    for route in router.routes:
        demands = _demands(route.dependencies) if isinstance(route, APIRoute) else []
        if not isinstance(route, APIRoute) or len(demands) != 1:
            raise TypeError(f"{route!r} does not say which role it needs: dependencies=[requires(…)]")
        found |= {(method, route.path): demands[0].role for method in route.methods or ()}
    return found


def _demands(dependencies: Iterable[Dependency]) -> list[Requires]:
    return [each.dependency for each in dependencies if isinstance(each.dependency, Requires)]
