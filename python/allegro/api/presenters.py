"""Presenters and other USB input devices: what is plugged in, learning a new one, tones."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.api.audit import say
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.settings.model import Settings
from allegro.trigger.beep import Player, Signal
from allegro.trigger.input_reader import ConnectedPresenter
from allegro.trigger.job import Job
from allegro.trigger.learning import Heard, Learning, UsbInput
from allegro.words import utc


@dataclass(frozen=True)
class PresenterParts:
    """What the routes show and control.

    `connected`: the presenters that are read; `inputs`: all USB devices with keys; `learn` raises Unavailable
    where keys cannot be read; `last`: the newest press of a presenter, None if none is known.
    """

    settings: Callable[[], Settings]
    connected: Callable[[], Sequence[ConnectedPresenter]]
    inputs: Callable[[], Sequence[UsbInput]]
    learn: Callable[[float], None]
    forget: Callable[[], None]
    learning: Callable[[], Learning]
    last: Callable[[], Job | None]
    player: Player


class InputAnswer(BaseModel):
    """A USB device with keys or buttons."""

    vendor: str = Field(description="USB vendor id")
    product: str = Field(description="USB product id")
    name: str = Field(description="What it calls itself; of a known presenter the name in the settings")
    used: bool = Field(description="Whether it is a known presenter, whose keys trigger")
    problem: str = Field(description="What keeps a known presenter from being read; empty: nothing")


class HeardAnswer(BaseModel):
    """On what a key was pressed."""

    vendor: str
    product: str
    name: str
    key: str = Field(description="What the key is called in the names of captures")

    @classmethod
    def of(cls, heard: Heard) -> "HeardAnswer":
        """As the API tells it."""
        return cls(vendor=heard.vendor, product=heard.product, name=heard.name, key=heard.key)


class LastPress(BaseModel):
    """The newest press of a presenter."""

    time: str
    key: str
    presenter: str
    job: int = Field(description="Number of its capture")


class PresentersAnswer(BaseModel):
    """What is plugged in, and what was heard of it."""

    devices: list[InputAnswer] = Field(description="All USB devices with keys or buttons")
    learning_s: float | None = Field(description="A key of an unknown device is waited for, so long; or null")
    heard: HeardAnswer | None = Field(description="The device on which a key was pressed while it was learnt")
    sound: bool = Field(description="Whether a USB sound device is plugged in")
    last_press: LastPress | None


class LearnRequest(BaseModel):
    """How long to wait."""

    model_config = ConfigDict(extra="forbid")

    seconds: int = Field(default=60, ge=5, le=300, description="Wait so long for a key")


class ToneRequest(BaseModel):
    """Which tone."""

    model_config = ConfigDict(extra="forbid")

    signal: Literal["accepted", "complete", "refused"] = "accepted"


def router(parts: PresenterParts) -> APIRouter:
    """Everything below /presenters."""
    routes = noun("presenters", "/presenters")

    def answer() -> PresentersAnswer:
        learning, last = parts.learning(), parts.last()
        return PresentersAnswer(
            devices=_devices(parts),
            learning_s=learning.remaining_s,
            heard=HeardAnswer.of(learning.heard) if learning.heard else None,
            sound=parts.player.has_device(),
            last_press=LastPress(time=utc(last.press_ns), key=last.key, presenter=last.device, job=last.id)
            if last
            else None,
        )

    @routes.get("", dependencies=[requires("viewer")])
    def presenters() -> PresentersAnswer:
        """USB devices with keys, used or not; whether a new one is being learnt; the last press."""
        return answer()

    @routes.post("/learn", dependencies=[requires("admin")])
    def learn(wanted: LearnRequest, request: Request) -> PresentersAnswer:
        """Waits for a key of a device that is not used yet; `heard` then names the device.

        Nothing is changed: who wants it adds it to the setting trigger.presenters.
        """
        parts.learn(wanted.seconds)
        say(request, "Waits for a key of a new presenter")
        return answer()

    @routes.delete("/learn", dependencies=[requires("admin")])
    def forget(request: Request) -> PresentersAnswer:
        """Waits no longer, and forgets what was heard."""
        parts.forget()
        say(request, "Waits no longer for a new presenter")
        return answer()

    @routes.post("/tone", dependencies=[requires("admin")], status_code=204)
    def tone(wanted: ToneRequest, request: Request) -> None:
        """Plays a tone now, also if tones are switched off, and answers when it has been played."""
        parts.player.test(Signal(wanted.signal))
        say(request, "Played a test tone")

    return routes


def _devices(parts: PresenterParts) -> list[InputAnswer]:
    known = {(each.vendor, each.product): each.name for each in parts.settings().trigger.presenters}
    problems = {(each.vendor, each.product): each.problem for each in parts.connected()}
    return [
        InputAnswer(
            vendor=each.vendor,
            product=each.product,
            name=known.get((each.vendor, each.product), each.name),
            used=(each.vendor, each.product) in known,
            problem=problems.get((each.vendor, each.product), ""),
        )
        for each in parts.inputs()
    ]
