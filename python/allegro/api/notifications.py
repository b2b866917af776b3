"""Notifications: how each way is; sending a test."""

from typing import Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.notify.notifier import Notifier, WayStatus
from allegro.words import utc_or_none

Way = Literal["mail", "webhook", "syslog"]


class WayAnswer(BaseModel):
    """One way by which people are told."""

    way: Way
    enabled: bool
    target: str = Field(description="Where it leads, without secrets; empty if it is not set up yet")
    waiting: int = Field(description="Messages that wait")
    dropped: int = Field(description="Messages that were dropped because too many waited")
    last_sent_time: str | None
    next_try_time: str | None = Field(description="When it is tried again after a failure")
    trouble: str = Field(description="Why the last try failed, in plain words; may be empty")
    remedy: str

    @classmethod
    def of(cls, status: WayStatus) -> Self:
        """The way as the API shows it."""
        trouble = status.trouble
        return cls(
            way=status.name,
            enabled=status.enabled,
            target=status.target,
            waiting=status.standing.waiting,
            dropped=status.standing.dropped,
            last_sent_time=utc_or_none(status.standing.sent_ns or None),
            next_try_time=utc_or_none(status.next_try_ns or None),
            trouble=trouble.message if trouble else "",
            remedy=trouble.remedy if trouble else "",
        )


class Trial(BaseModel):
    """A test message."""

    model_config = ConfigDict(extra="forbid")

    way: Way


class TrialAnswer(BaseModel):
    """What became of it."""

    message: str = Field(description="What the server said, in plain words")


def router(notifier: Notifier) -> APIRouter:
    """GET /notifications, POST /notifications/test."""
    routes = noun("notifications", "/notifications")

    @routes.get("", dependencies=[requires("viewer")])
    def ways() -> list[WayAnswer]:
        """How each way is."""
        return [WayAnswer.of(each) for each in notifier.status()]

    @routes.post("/test", dependencies=[requires("admin")])
    def test(trial: Trial) -> TrialAnswer:
        """Sends a message at once, by the present settings, also while the way is switched off."""
        return TrialAnswer(message=notifier.test(trial.way))

    return routes
