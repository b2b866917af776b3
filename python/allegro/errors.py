"""Errors that a user may see: what happened, where, and what to do about it."""

from collections.abc import Sequence


class AllegroError(Exception):
    """A failure told in plain words.

    `message` says what happened, `place` names the setting, file or port it is about (may be empty),
    `remedy` what the user can do (may be empty), `more` what is wrong besides, at other places. `status` is
    the HTTP status the API answers with (RFC 9110).
    """

    status = 400

    def __init__(
        self, message: str, *, place: str = "", remedy: str = "", more: "Sequence[AllegroError]" = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.remedy = remedy
        self.more = tuple(more)

    def __str__(self) -> str:
        text = f"{self.place}: {self.message}" if self.place else self.message
        return " ".join(filter(None, (text, self.remedy, *map(str, self.more))))


class InvalidInput(AllegroError):
    """What the user asked for cannot be right (a bad value, an unknown name)."""

    status = 422


class NotFound(AllegroError):
    """The thing asked for is not there."""

    status = 404


class Conflict(AllegroError):
    """The request is fine, but not in the present state of the device."""

    status = 409


class Outdated(AllegroError):
    """The request is made for a state that is not the present one any more (If-Match, RFC 9110, 13.1.1)."""

    status = 412


class Unavailable(AllegroError):
    """A part of the device that is needed does not work at the moment."""

    status = 503
