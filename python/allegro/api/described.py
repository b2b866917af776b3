"""An API whose description says who may use what, and which does not take a route that does not say so."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from allegro.accounts.roles import Role
from allegro.api import errors
from allegro.api.audit import Audit
from allegro.api.head import Head
from allegro.api.judge import roles
from allegro.api.noun import PREFIX
from allegro.api.regular_paths import RegularPaths
from allegro.events.event import Note

_SCHEMES = {
    "password": {"type": "http", "scheme": "basic", "description": "Name and password of a user"},
    "token": {"type": "http", "scheme": "bearer", "description": "An API token"},
}


class Api(FastAPI):
    """The API with the least role of each route in its description."""

    def __init__(self, version: str) -> None:
        super().__init__(
            title="Allegro",
            version=version,
            description="Everything that the web page and the command line do. Times are UTC.",
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
        )
        self._roles: dict[tuple[str, str], Role] = {}
        self._waiting: dict[str, Callable[[], None]] = {}
        self._elsewhere: list[Callable[[], APIRouter]] = []
        errors.install(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "http":
            self._make(scope["path"].removeprefix(f"{PREFIX}/").partition("/")[0])
        await super().__call__(scope, receive, send)

    def add(self, router: APIRouter) -> None:
        """Takes the routes of a noun. Raises TypeError for a route that does not say which role it needs."""
        below = "" if router.prefix.startswith(PREFIX) else PREFIX
        self._roles |= {(method, f"{below}{path}"): role for (method, path), role in roles(router).items()}
        if below:
            self.include_router(router, prefix=below)
        else:  # as they are: one that is included is made a second time, when a first request looks at it
            self.routes.extend(router.routes)

    def later(self, make: Callable[[], APIRouter], *nouns: str) -> None:
        """Takes the routes that `make` makes, all below these nouns of `/api`, when a request goes there.

        The description asks for all. A start would wait for what making them takes, and few are asked soon.
        Raises TypeError then, as `add` does, and for a route elsewhere: none is taken, requests there fail.
        """

        def take() -> None:
            router = make()
            for path in (path for _, path in roles(router)):
                if path.removeprefix(f"{PREFIX}/").partition("/")[0] not in nouns:
                    raise TypeError(f"{path} is not below {', '.join(nouns)}: no request would find it")
            self.add(router)
            for noun in nouns:
                self._waiting.pop(noun)

        self._waiting |= dict.fromkeys(nouns, take)

    def _make(self, noun: str) -> None:
        if take := self._waiting.get(noun):
            take()

    def describe(self, router: Callable[[], APIRouter]) -> None:
        """Puts routes into the description that another program answers, and judges. They are made for the
        description only, as that takes time: until then they are not looked at here, either."""
        self._elsewhere.append(router)

    def openapi(self) -> dict[str, Any]:
        """The description; the least role for an operation stands in its `security` (OpenAPI 3.1, 4.8.30)."""
        for noun in list(self._waiting):
            self._make(noun)
        described = super().openapi()
        components = described.setdefault("components", {"schemas": {}})
        components["securitySchemes"] = _SCHEMES
        components["schemas"] |= errors.schemas()
        for (method, path), role in self._roles.items():
            operation = described["paths"].get(path, {}).get(method.lower())
            if operation is not None:
                operation["security"] = [{scheme: [role]} for scheme in _SCHEMES]
        for router in self._elsewhere:
            other = Api(self.version)
            other.add(router())
            there = other.openapi()
            described["paths"] |= there["paths"]
            components["schemas"] |= there["components"]["schemas"]
        # whatever was asked for first
        described["paths"] = dict(sorted(described["paths"].items()))
        components["schemas"] = dict(sorted(components["schemas"].items()))
        return described


def layered(api: Api, note: Note) -> ASGIApp:
    """The API with what stands in front of its routes; `note` is told of what requests have changed."""
    return RegularPaths(Audit(Head(api), note))
