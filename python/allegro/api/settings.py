"""The settings: show them, change some of them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Body, Header, Query, Request, Response
from pydantic import BaseModel, Field

from allegro.api.audit import say, user_of
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.errors import NotFound, Outdated
from allegro.events.event import LONGEST_TEXT
from allegro.settings.masks import hidden, masked
from allegro.settings.model import Settings
from allegro.settings.patches import differing, digest

Before = Callable[[Settings], None]


class Change(Protocol):
    """Saves and applies a patch; answers with the new settings and what could not be put into effect.

    `before` is given the present settings, and may refuse. `later_s`: applied after so many seconds.
    `who` asks for it.
    """

    def __call__(  # noqa: D102
        self, patch: Mapping[str, Any], before: Before = ..., later_s: float = ..., *, who: str = ...
    ) -> tuple[Settings, list[str]]: ...


IfMatch = Annotated[
    str | None,
    Header(
        description="ETag of the settings that the change is made for. If they are others now, nothing is"
        " saved, and the answer is 412."
    ),
]
ApplyAfter = Annotated[
    float,
    Query(
        ge=0,
        le=10,
        description="Saved at once, but put into effect only after so many seconds: so that the answer comes"
        " before the address changes by which it was asked for. What cannot be put into effect is not told.",
    ),
]
_PATCH = (
    "Any part of it, nested as it is shown; what is not named stays as it is. A secret that comes back as"
    " asterisks stays as it is, too."
)


_DEEPEST = 4
"""Names in the place of a setting: `notifications.mail.tell.problems`."""


class SettingsChanged(BaseModel):
    """What holds now."""

    settings: Settings = Field(description="All settings; secrets are masked")
    warnings: list[str] = Field(
        description="The settings are saved, but these could not be put into effect yet, in plain words"
    )
    confirm_within_s: float | None = Field(
        description="If not null: the settings of the network are taken back after so many seconds, unless"
        " POST /api/network/confirm comes first, from the new address"
    )


def router(
    current: Callable[[], Settings], change: Change, remaining_s: Callable[[], float | None]
) -> APIRouter:
    """GET and PATCH, of all settings and of one section. `change` saves a patch and applies it.

    `remaining_s`: seconds left to confirm a change of the network, None if none waits.
    """
    routes = noun("settings")

    def saved(
        patch: Mapping[str, Any],
        section: str,
        if_match: str | None,
        request: Request,
        response: Response,
        later_s: float = 0.0,
    ) -> SettingsChanged:
        old: list[Settings] = []

        def unchanged(present: Settings) -> None:
            made_for(present, section, if_match)
            old.append(present)

        new, warnings = change(patch, unchanged, later_s, who=user_of(request.scope))
        say(request, what_changed(old[0], new))
        response.headers["ETag"] = tag(new, section)
        return SettingsChanged(
            settings=hidden(new),
            warnings=warnings,
            confirm_within_s=remaining_s(),
        )

    @routes.get("/settings", dependencies=[requires("viewer")])
    def get(response: Response) -> Settings:
        """All settings. A secret that is set is shown as asterisks. ETag: see PATCH."""
        settings = current()
        response.headers["ETag"] = tag(settings)
        return hidden(settings)

    @routes.patch("/settings", dependencies=[requires("admin")])
    def patch(
        changes: Annotated[
            dict[str, Any], Body(description=_PATCH, examples=[{"trigger": {"before_s": 90}}])
        ],
        request: Request,
        response: Response,
        if_match: IfMatch = None,
    ) -> SettingsChanged:
        """Changes settings. Everything is checked first: either all is saved, or nothing."""
        return saved(changes, "", if_match, request, response)

    @routes.get("/settings/{section}", dependencies=[requires("viewer")])
    def get_section(section: str, response: Response) -> dict[str, Any]:
        """One section of the settings, as GET /settings shows it. ETag: see PATCH."""
        settings = current()
        response.headers["ETag"] = tag(settings, section)
        return _shown(settings, section)

    @routes.patch("/settings/{section}", dependencies=[requires("admin")])
    def patch_section(
        section: str,
        changes: Annotated[dict[str, Any], Body(description=_PATCH, examples=[{"before_s": 90}])],
        request: Request,
        response: Response,
        if_match: IfMatch = None,
        apply_after_s: ApplyAfter = 0.0,
    ) -> SettingsChanged:
        """Changes one section of the settings, if nobody else has changed it since it was read (If-Match)."""
        _shown(current(), section)
        return saved({section: changes}, section, if_match, request, response, apply_after_s)

    return routes


def _shown(settings: Settings, section: str) -> dict[str, Any]:
    """A section as it may be shown; all of them without a name. Raises NotFound."""
    shown = masked(settings)
    if not section:
        return shown
    values = shown.get(section)
    if not isinstance(values, dict):
        raise NotFound(f"There is no section {section} of the settings.", place="section")
    return values


def made_for(present: Settings, section: str, if_match: str | None) -> None:
    """Raises Outdated if a change is made for other settings than the present ones, of one section or all."""
    if if_match is not None and not {"*", tag(present, section)} & {
        each.strip() for each in if_match.split(",")
    }:
        raise Outdated(
            "Somebody else has changed these settings meanwhile; nothing was saved.",
            place=section,
            remedy="Look at them again, then repeat your change.",
        )


def what_changed(old: Settings, new: Settings) -> str:
    """Sections and fields, as far as a line of the list of events has room for them; never values."""
    changed = differing(new.model_dump(mode="json"), old.model_dump(mode="json"))
    if not changed:
        return "Saved settings without a change"
    texts = [f"Changed {', '.join(_names(changed, depth))}" for depth in (_DEEPEST, 2, 1)]
    return next((each for each in texts if len(each) <= LONGEST_TEXT), texts[-1])


def _names(changed: Mapping[str, Any], depth: int) -> list[str]:
    """Places of values, such as `time.zone`, of so many names at most."""
    return [
        f"{name}.{below}" if below else name
        for name, value in changed.items()
        for below in (_names(value, depth - 1) if isinstance(value, dict) and depth > 1 else [""])
    ]


def tag(settings: Settings, section: str = "") -> str:
    """As a strong entity tag (RFC 9110, 8.8.3)."""
    return f'"{digest(_shown(settings, section))}"'
