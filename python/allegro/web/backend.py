"""The web page's way to the supervisor: HTTP on its unix socket, in the name of a user."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from allegro.accounts.roles import Role
from allegro.api.asker import ROLE_HEADER, SOURCE_HEADER, USER_HEADER
from allegro.api.client import ApiError, refusal
from allegro.errors import Unavailable
from allegro.web.neighbourhood import readable

TIMEOUT = httpx.Timeout(120.0, connect=60.0)
"""A test upload waits for a server that may not answer; everything else answers at once.

Where nobody listens, a unix socket refuses at once: who waits to connect waits for this program's own turn.
"""

CONNECTIONS = 50
"""To the supervisor, at most."""


def over_socket(path: Path) -> httpx.AsyncBaseTransport:
    """Connections to the supervisor's unix socket."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=5)
    return httpx.AsyncHTTPTransport(uds=str(path), limits=limits)


@dataclass(frozen=True)
class Asker:
    """For whom the page asks, and from where; by the role the supervisor decides whether that may be."""

    name: str
    role: Role
    address: str = ""

    def headers(self) -> dict[str, str]:
        """As the supervisor is told."""
        source = {SOURCE_HEADER: readable(self.address)} if self.address else {}
        return {USER_HEADER: self.name, ROLE_HEADER: self.role, **source}


class Backend:
    """Asks the API for a user. All methods raise Unavailable if the supervisor does not answer."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://supervisor", timeout=TIMEOUT, trust_env=False
        )

    async def close(self) -> None:
        """Ends all connections."""
        await self._client.aclose()

    async def ask(
        self,
        asker: Asker,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One request; `path` without /api. Answers with the JSON value; raises ApiError for a refusal."""
        async with self.stream(asker, method, f"/api{path}", headers=headers, json=body) as response:
            try:
                await response.aread()
            except httpx.HTTPError:
                raise Unavailable(
                    "The answer of the device's control program broke off.",
                    remedy="It may be restarting: wait half a minute, then load the page again.",
                ) from None
        return decoded(response)

    @asynccontextmanager
    async def stream(
        self,
        asker: Asker,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: AsyncIterator[bytes] | bytes | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """The answer as it comes; `target` is the path as it stands in the request, with its query."""
        request = self._client.build_request(
            method,
            target,
            headers={**(headers or {}), **asker.headers()},
            content=content,
            json=json,
        )
        try:
            response = await self._client.send(request, stream=True)
        except httpx.TimeoutException:
            raise Unavailable(
                "The device did not answer in time.", remedy="Wait a moment, then load the page again."
            ) from None
        except httpx.HTTPError:
            raise Unavailable(
                "The device's control program does not answer.",
                remedy="It may be starting: wait half a minute, then load the page again."
                " Recording goes on meanwhile.",
            ) from None
        try:
            yield response
        finally:
            await response.aclose()


class UserApi:
    """The API for one user."""

    def __init__(self, backend: Backend, asker: Asker) -> None:
        self._backend = backend
        self._asker = asker

    async def get(self, path: str) -> Any:
        """GET."""
        return await self._backend.ask(self._asker, "GET", path)

    async def head(self, path: str) -> None:
        """HEAD: whether a GET would be granted. A refusal has its status, but no words of the API."""
        await self._backend.ask(self._asker, "HEAD", path)

    async def post(self, path: str, body: Mapping[str, Any] | None = None, *, if_match: str = "") -> Any:
        """POST; `if_match`: the digest of what is to be changed."""
        return await self._backend.ask(self._asker, "POST", path, body, _made_for(if_match))

    async def patch(self, path: str, body: Mapping[str, Any], *, if_match: str = "") -> Any:
        """PATCH; `if_match`: the digest of what is to be changed."""
        return await self._backend.ask(self._asker, "PATCH", path, body, _made_for(if_match))

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """PUT."""
        return await self._backend.ask(self._asker, "PUT", path, body)

    async def delete(self, path: str) -> Any:
        """DELETE."""
        return await self._backend.ask(self._asker, "DELETE", path)


def _made_for(digest: str) -> dict[str, str]:
    return {"If-Match": f'"{digest}"'} if digest else {}


def decoded(response: httpx.Response) -> Any:
    """The JSON value of an answer, or ApiError."""
    try:
        value: Any = response.json() if response.content else None
    except ValueError:
        raise ApiError(502, "The answer of the device's control program cannot be understood.") from None
    if response.status_code < 400:
        return value
    status = response.status_code
    raise refusal(status, value, f"The device refused this (HTTP {status}).")
