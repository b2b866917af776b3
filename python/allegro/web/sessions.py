"""Who is logged in. Sessions live in memory: a restart of the web page ends them all."""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

IDLE_S = 30 * 60.0
"""A session ends after this long without a request of the user's own (polls of an open page do not count)."""

LONGEST_S = 12 * 3600.0
MOST_OF_ONE = 50
"""So many of one user; one more ends the one that was used longest ago. Users are bounded, too."""

_MOST_FLASHES = 10
_CSRF_BYTES = 32


@dataclass
class Session:
    """One browser that has logged in. `csrf` has to come back with everything that changes something."""

    user: str
    csrf: bytes
    started_s: float
    used_s: float
    flashes: list[tuple[str, str]] = field(default_factory=list)  # (kind, text) for the next page
    pressed: tuple[float, Mapping[str, str]] | None = None  # when "Press now" was last used, and for what
    wifi_offer: str = ""  # the WiFi password that was made for this user to choose
    wifi_password: str = ""  # the one that was chosen
    setup_begins: bool = False  # the set-up was offered, and this is not noted yet
    setup_since: int | None = None  # the newest capture when a step of the set-up was opened

    def flash(self, kind: str, text: str) -> None:
        """A message that the next page shows: kind is good, warning or error."""
        self.flashes.append((kind, text))
        del self.flashes[:-_MOST_FLASHES]

    def take_flashes(self) -> list[tuple[str, str]]:
        """The messages, once."""
        taken, self.flashes = self.flashes, []
        return taken

    def masked_csrf(self) -> str:
        """`csrf` as a page has it: another text each time, as pages are compressed (`web.packing`)."""
        mask = secrets.token_bytes(_CSRF_BYTES)
        return (mask + _masked(self.csrf, mask)).hex()

    def is_csrf(self, token: str) -> bool:
        """Whether a request comes from a page that we made for this session."""
        try:
            sent = bytes.fromhex(token)
        except ValueError:
            return False
        mask, masked = sent[:_CSRF_BYTES], sent[_CSRF_BYTES:]
        return len(masked) == _CSRF_BYTES and hmac.compare_digest(_masked(masked, mask), self.csrf)


class Sessions:
    """All sessions, by the hash of their token. Times in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def start(self, user: str, now_s: float) -> tuple[str, Session]:
        """A new session; its token (256 random bits) is the browser's secret."""
        token = secrets.token_urlsafe(32)
        session = Session(user, secrets.token_bytes(_CSRF_BYTES), now_s, now_s)
        with self._lock:
            self._drop_old(now_s)
            own = {key: session.used_s for key, session in self._sessions.items() if session.user == user}
            if len(own) >= MOST_OF_ONE:
                del self._sessions[min(own, key=lambda key: own[key])]
            self._sessions[_key(token)] = session
        return token, session

    def get(self, token: str, now_s: float, *, poll: bool = False) -> Session | None:
        """The session of a token, if it has not ended. Counts as use, except for a `poll`."""
        with self._lock:
            session = self._sessions.get(_key(token))
            if session is None:
                return None
            if _ended(session, now_s):
                del self._sessions[_key(token)]
                return None
            if not poll:
                session.used_s = now_s
            return session

    def end(self, token: str) -> None:
        """Logs out."""
        with self._lock:
            self._sessions.pop(_key(token), None)

    def end_all_of(self, user: str, *, but: Session | None = None) -> None:
        """After a new password, and when the user is deleted. A new role counts from the next request on."""
        with self._lock:
            for key, session in list(self._sessions.items()):
                if session.user == user and session is not but:
                    del self._sessions[key]

    def _drop_old(self, now_s: float) -> None:
        for key, session in list(self._sessions.items()):
            if _ended(session, now_s):
                del self._sessions[key]


def _ended(session: Session, now_s: float) -> bool:
    return now_s - session.used_s > IDLE_S or now_s - session.started_s > LONGEST_S


def _masked(content: bytes, mask: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(content, mask, strict=True))


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
