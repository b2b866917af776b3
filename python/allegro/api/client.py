"""Client of the REST API on its unix socket: standard library only, so that the command line starts fast."""

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from allegro.api.targets import is_regular
from allegro.errors import AllegroError, NotFound, Unavailable
from allegro.paths import Paths

TIMEOUT_S = 120.0
"""A test upload waits for a server that may not answer; everything else answers at once."""


class ApiError(AllegroError):
    """What the API answered instead of doing it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        place: str = "",
        remedy: str = "",
        more: Sequence[AllegroError] = (),
    ) -> None:
        super().__init__(message, place=place, remedy=remedy, more=more)
        self.status = status


def shape(error: AllegroError) -> dict[str, Any]:
    """A failure as the API tells it (`allegro.api.errors`, which has the same for its description)."""
    more = [_told(each) for each in error.more]
    return {"error": {**_told(error), **({"more": more} if more else {})}}


def refusal(status: int, answer: Any, unknown: str) -> ApiError:
    """What an answer of 400 and above says; `unknown` if it has not the shape of `shape`."""
    try:
        error = answer["error"]
        return _refused(status, error, [_refused(status, each) for each in error.get("more", ())])
    except (TypeError, KeyError, AttributeError):
        return ApiError(status, unknown)


def _told(error: AllegroError) -> dict[str, str]:
    return {"message": error.message, "place": error.place, "remedy": error.remedy}


def _refused(status: int, told: Any, more: Sequence[AllegroError] = ()) -> ApiError:
    return ApiError(status, told["message"], place=told["place"], remedy=told["remedy"], more=more)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:  # noqa: D102
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """One request, one answer. Paths are given without the prefix /api.

    All methods raise Unavailable if the supervisor cannot be reached, and ApiError for what it answered.
    """

    def __init__(
        self, socket_path: Path, timeout_s: float = TIMEOUT_S, *, program: str = "supervisor"
    ) -> None:
        self._socket_path = socket_path
        self._timeout_s = timeout_s
        self._program = program

    def get(self, path: str, **query: object) -> Any:
        """GET; `query` becomes the query string."""
        return self._request("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST with a JSON object, or without a body."""
        return self._request("POST", path, body)

    def upload(self, path: str, file: BinaryIO, size: int) -> Any:
        """PUT with the `size` bytes of a file as body."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        return self._exchange("PUT", path, file, headers)

    @contextlib.contextmanager
    def stream(self, path: str, **query: object) -> Iterator[http.client.HTTPResponse]:
        """GET; the answer as it comes."""
        connection = UnixConnection(self._socket_path, self._timeout_s)
        try:
            with self._plain_errors():
                connection.request("GET", f"/api{path}?{urlencode(query)}")
                response = connection.getresponse()
                if response.status >= 400:
                    _decoded(response.status, response.read())
            yield response
        finally:
            connection.close()

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """PATCH with a JSON object."""
        return self._request("PATCH", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """PUT with a JSON object."""
        return self._request("PUT", path, body)

    def delete(self, path: str) -> Any:
        """DELETE."""
        return self._request("DELETE", path)

    @property
    def _unit(self) -> str:
        return f"allegro-{self._program.partition(' ')[0]}"

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        return self._exchange(
            method, path, content, {} if content is None else {"Content-Type": "application/json"}
        )

    def _exchange(
        self, method: str, path: str, content: bytes | BinaryIO | None, headers: Mapping[str, str]
    ) -> Any:
        connection = UnixConnection(self._socket_path, self._timeout_s)
        try:
            with self._plain_errors():
                # A refusal can come before all has been sent; its words are worth more than the broken pipe.
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.request(method, f"/api{path}", body=content, headers=headers)
                response = connection.getresponse()
                answer = response.read()
        finally:
            connection.close()
        return _decoded(response.status, answer)

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise Unavailable(
                "This user may not control the device.", remedy="Use sudo, or log in as root."
            ) from None
        except TimeoutError:
            raise Unavailable(
                f"The {self._program} did not answer within {self._timeout_s:.0f} s.",
                remedy=f"See `journalctl -u {self._unit}`.",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(
                f"The {self._program} cannot be reached at {self._socket_path} ({_reason(error)}).",
                remedy=f"It is starting or has failed; see `systemctl status {self._unit}`.",
            ) from None


def page_client(socket_path: Path) -> Client:
    """For users and tokens, which the web page's program answers: its socket lies beside the supervisor's."""
    return Client(Paths(run=socket_path.parent).page_socket, program="web page")


def segment(name: object) -> str:
    """A name as one segment of a path.

    Raises:
        NotFound: no file, user or bundle can have this name (allegro.api.targets)

    """
    encoded = quote(str(name), safe="")
    if not is_regular(b"/" + encoded.encode()):
        raise NotFound(
            f"There is nothing with the name {name}.",
            place="name",
            remedy="A name has neither slashes nor control characters.",
        )
    return encoded


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__


def _decoded(status: int, answer: bytes) -> Any:
    try:
        value: Any = json.loads(answer) if answer else None
    except ValueError:
        raise ApiError(status, "The supervisor's answer cannot be understood.") from None
    if status < 400:
        return value
    raise refusal(status, value, f"The supervisor refused this (HTTP {status}).")
