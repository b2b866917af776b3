"""Calls a webhook: one POST with JSON for each message (RFC 9110)."""

import contextlib
import json
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import httpx

from allegro.connecting import cause
from allegro.notify import webhook_forms
from allegro.notify.delivery import STEP_TIMEOUT_S, Send, Taken, Undelivered, explain, said
from allegro.notify.notice import Notice
from allegro.settings.masks import MASK
from allegro.settings.notifications import Webhook
from allegro.trust import trusting

_READ = 4096
"""Bytes of an answer that are looked at."""

_SHORTEST_SECRET = 8
"""Characters of the last word of an address; a shorter one is no secret, and stands in other words."""

_LONGEST_PAUSE_S = 3600.0
_OF_MESSAGE = (400, 413, 422)
"""Statuses that concern what was sent, and not who sent it where."""


class WebhookWay:
    """By webhook, as the settings have it."""

    def __init__(self, settings: Webhook, certificate: str) -> None:
        self._settings = settings
        self._certificate = certificate
        self._place = urlsplit(settings.url).netloc

    @property
    def target(self) -> str:
        """The server; what stands behind it is often a secret."""
        return self._place

    @contextlib.contextmanager
    def connection(self) -> Iterator[Send]:
        """Connects with the first message. Raises Undelivered."""
        headers = {"User-Agent": "Allegro", "Accept-Encoding": "identity"}
        if self._settings.token:
            headers["Authorization"] = f"Bearer {self._settings.token}"
        with httpx.Client(
            verify=trusting(self._certificate), timeout=STEP_TIMEOUT_S, trust_env=False, headers=headers
        ) as client:
            try:
                yield partial(self._send, client)
            except httpx.HTTPError as error:
                raise self._explained(error) from error

    def _send(self, client: httpx.Client, notice: Notice) -> Taken:
        url, body = webhook_forms.call(self._settings.form, self._settings.url, notice)
        content = json.dumps(body, ensure_ascii=False).encode()
        kind = {"Content-Type": "application/json"}
        with client.stream("POST", url, content=content, headers=kind) as answer:
            text = b""
            for part in answer.iter_raw():
                text += part
                if len(text) >= _READ:
                    break
        words = self._without_secrets(f"HTTP {answer.status_code} {text[:_READ].decode(errors='replace')}")
        if answer.is_success:
            return Taken(f"The web server has taken the message: {words}.")
        raise self._refused(answer, words)

    def _refused(self, answer: httpx.Response, words: str) -> Undelivered:
        if answer.is_redirect:
            message = f"The web server sends the device to another address: {words}."
            remedy = "Set the address where the webhook is now."
        else:
            message = f"The web server does not take the message: {words}."
            remedy = "Check address, kind and access token, or ask who runs the web server."
        return Undelivered(
            message,
            place=self._place,
            remedy=remedy,
            of_message=answer.status_code in _OF_MESSAGE,
            pause_s=_retry_after(answer) if answer.status_code in (429, 503) else None,
        )

    def _explained(self, error: httpx.HTTPError) -> Undelivered:
        """httpx keeps what the system said as its cause."""
        if (why := cause(error)) is not None:
            return explain(why, self._place)
        if isinstance(error, httpx.TimeoutException):
            return explain(TimeoutError(), self._place)
        if isinstance(error, httpx.RemoteProtocolError | httpx.NetworkError):
            return explain(ConnectionResetError(), self._place)
        return Undelivered(
            f"The connection to the server failed: {self._without_secrets(str(error))}.", place=self._place
        )

    def _without_secrets(self, text: str) -> str:
        """Servers repeat what they were asked for."""
        parts = urlsplit(self._settings.url)
        path = parts.path.strip("/")
        last = path.rpartition("/")[2]
        for secret in (self._settings.url, self._settings.token, path, parts.query, last):
            if secret and (secret != last or len(last) >= _SHORTEST_SECRET):
                text = text.replace(secret, MASK)
        return said(text)


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the server names (RFC 9110, 10.2.3), an hour at most; dates are left aside."""
    named = answer.headers.get("Retry-After", "")
    return min(float(named), _LONGEST_PAUSE_S) if named.isascii() and named.isdecimal() else None
