"""Calls a webhook: one POST with JSON for each message (RFC 9110).

Not every form has a place for the id of the message, so a header tells it, the same at each try
(draft-ietf-httpapi-idempotency-key-header).
"""

import contextlib
import json
from collections.abc import Iterator
from functools import partial
from urllib.parse import unquote, unquote_plus, urlsplit

import httpx

from allegro.connecting import cause
from allegro.notify import webhook_forms
from allegro.notify.delivery import STEP_TIMEOUT_S, Send, Taken, Undelivered, explain, said
from allegro.notify.notice import Notice
from allegro.settings.notifications import Webhook
from allegro.trust import trusting

_READ = 4096
"""Bytes of an answer that are looked at."""

_SHORTEST_WORD, _SHORTEST_VALUE = 8, 4
"""Characters of a segment of a path, and of a value of a query; shorter ones are no secrets, and stand in
other words."""

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
        headers = {"Content-Type": "application/json", "Idempotency-Key": f'"{notice.id}"'}
        with client.stream("POST", url, content=content, headers=headers) as answer:
            text = b""
            for part in answer.iter_raw():
                text += part
                if len(text) >= _READ:
                    break
        words = self._said(f"HTTP {answer.status_code} {text[:_READ].decode(errors='replace')}")
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
            f"The connection to the server failed: {self._said(str(error))}.", place=self._place
        )

    def _said(self, text: str) -> str:
        return said(text, secrets_of(self._settings))


def secrets_of(settings: Webhook) -> set[str]:
    """What no answer may show: address and token, and parts of the address as they may be repeated.

    That is as it was typed, as httpx sends it, and with its percent-encoding resolved (RFC 3986, 2.1).
    """
    found = {settings.token}
    for url in (settings.url, str(httpx.URL(settings.url))):
        parts = urlsplit(url)
        path = parts.path.strip("/")
        fields = [each.partition("=") for each in parts.query.split("&")]
        values = [value if equals else name for name, equals, value in fields]
        found |= {url, parts.query, *(each for each in values if len(each) >= _SHORTEST_VALUE)}
        found |= {each for each in path.split("/") if len(each) >= _SHORTEST_WORD}
        found |= {path} if "/" in path else set()
    resolved = {resolve(each) for each in found for resolve in (unquote, unquote_plus)}
    return {each for each in found | resolved if each.strip()}


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the server names (RFC 9110, 10.2.3), an hour at most; dates are left aside."""
    named = answer.headers.get("Retry-After", "")
    return min(float(named), _LONGEST_PAUSE_S) if named.isascii() and named.isdecimal() else None
