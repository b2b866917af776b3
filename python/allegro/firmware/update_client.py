"""The client of an update server: fetches index and bundles by HTTPS, and resumes what was interrupted."""

import contextlib
import hashlib
import logging
import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import httpx

from allegro.errors import AllegroError, Conflict, InvalidInput, NotFound, Unavailable
from allegro.firmware.release_index import LARGEST, NAME, Offer

_TIMEOUT = httpx.Timeout(30.0, connect=15.0)
_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Between tries that bring nothing; each byte that arrives starts the row anew."""

PLACE = "firmware.server"

log = logging.getLogger(__name__)


class Stopped(Conflict):
    """Somebody ended the download; what has arrived is kept."""


class Server:
    """One update server: `address` of its directory; `certificate`: PEM of the only authority to trust.

    Without a certificate those that browsers trust count. Raises InvalidInput for a bad certificate.
    """

    def __init__(self, address: str, certificate: str = "") -> None:
        if not address:
            raise Conflict(
                "No update server is set.",
                place=PLACE,
                remedy="Set its address, or upload a firmware file.",
            )
        trusted: ssl.SSLContext | bool = True
        if certificate:
            try:
                trusted = ssl.create_default_context(cadata=certificate)
            except (ssl.SSLError, ValueError, TypeError) as error:
                raise InvalidInput("This is no certificate.", place="firmware.certificate") from error
            # Python 3.13 asks for all of RFC 5280, but authorities of `openssl req -x509` lack the key usage.
            trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._base = httpx.URL(address if address.endswith("/") else address + "/")
        self._client = httpx.Client(verify=trusted, timeout=_TIMEOUT, trust_env=False, follow_redirects=True)
        self._client.event_hooks["request"].append(_only_https)

    def close(self) -> None:
        """Ends all connections."""
        self._client.close()

    def index(self) -> bytes:
        """The signed index. Raises Unavailable, NotFound or InvalidInput."""
        content = b""
        try:
            with self._client.stream("GET", self._base.join(NAME)) as answer:
                _check(answer, f"The update server has no index ({NAME}).")
                for part in answer.iter_bytes():
                    content += part
                    if len(content) > LARGEST:
                        raise InvalidInput("The index of the update server is too large.", place=PLACE)
        except httpx.HTTPError as error:
            raise _in_words(error) from error
        return content

    def download(
        self, offer: Offer, target: Path, progress: Callable[[float], None], stop: threading.Event
    ) -> None:
        """Brings the bundle to `target`, going on where an earlier download ended; checks size and hash.

        Raises Unavailable if the server does not deliver (what has arrived stays for the next time), Stopped,
        and InvalidInput if it delivers something else than the index says, Unavailable if the disk refuses
        (then nothing stays).
        """
        try:
            self._bring(offer, target, progress, stop)
        except OSError as error:
            with contextlib.suppress(OSError):
                target.unlink(missing_ok=True)
            raise Unavailable(f"{offer.file} cannot be stored: {error.strerror}.") from error

    def _bring(
        self, offer: Offer, target: Path, progress: Callable[[float], None], stop: threading.Event
    ) -> None:
        """All of it, in as many requests as it takes."""
        pauses = iter(_PAUSES_S)
        while (have := _size(target)) < offer.size:
            try:
                self._fetch(offer, target, have, progress, stop)
                continue
            except httpx.HTTPError as error:
                problem = _in_words(error)
            if _size(target) > have:
                pauses = iter(_PAUSES_S)
            pause = next(pauses, None)
            if pause is None:
                raise problem
            log.warning("The download is interrupted, and goes on in %.0f s: %s", pause, problem)
            if stop.wait(pause):
                raise Stopped("The download was stopped.")
        if _sha256(target) != offer.sha256:
            target.unlink()
            raise InvalidInput(
                f"{offer.file} is not what the index of the update server says; it is deleted.",
                place=PLACE,
                remedy="Try again later, or ask who runs the update server.",
            )

    def _fetch(
        self, offer: Offer, target: Path, have: int, progress: Callable[[float], None], stop: threading.Event
    ) -> None:
        """One request. Ends early without an exception if the server has less than it should."""
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        with self._client.stream("GET", self._base.join(offer.file), headers=headers) as answer:
            if have and answer.status_code == 416:  # it has less than we: start anew
                target.unlink()
                return
            _check(answer, f"The update server has no file {offer.file}.")
            resumed = answer.status_code == 206
            if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
                raise httpx.RemoteProtocolError("it sends another part of the file than it was asked for")
            at = have if resumed else 0
            with target.open("r+b" if at else "wb") as file:
                file.seek(at)
                file.truncate()
                for part in answer.iter_raw():  # as it comes: nothing waits in memory when it breaks off
                    if stop.is_set():
                        raise Stopped("The download was stopped.")
                    at += len(part)
                    if at > offer.size:
                        break
                    file.write(part)
                    progress(at / offer.size)
                file.flush()
                os.fsync(file.fileno())
        if at != offer.size:
            target.unlink()
            raise InvalidInput(
                f"{offer.file} has another size than the index of the update server says.", place=PLACE
            )


def _only_https(request: httpx.Request) -> None:
    if request.url.scheme != "https":  # a redirect
        raise httpx.UnsupportedProtocol("it sends us to an address without HTTPS")


def _check(answer: httpx.Response, missing: str) -> None:
    if answer.status_code == 404:
        raise NotFound(missing, place=PLACE, remedy="Is the address of the update server right?")
    if answer.status_code not in (200, 206):
        raise Unavailable(
            f"The update server refuses (HTTP {answer.status_code}).",
            place=PLACE,
            remedy="Try again later, or ask who runs the update server.",
        )


def _in_words(error: httpx.HTTPError) -> AllegroError:
    text = str(error).strip().rstrip(".") or type(error).__name__
    remedy = "Is the address right, and does the management port reach the network?"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        text = "its certificate is not trusted"
        remedy = "For a private server, set the certificate of its authority; is the device's clock right?"
    elif isinstance(error, httpx.TimeoutException):
        text = "it does not answer in time"
    return Unavailable(f"The update server cannot be used: {text}.", place=PLACE, remedy=remedy)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
