"""The configuration as one file: export, comparison, import; the last changes of the settings, and back."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from allegro.accounts.passwords import LONGEST, check_new
from allegro.api.audit import say, user_of
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.api.settings import ApplyAfter, Change, IfMatch, SettingsChanged, made_for, tag, what_changed
from allegro.settings.configuration_file import (
    TakenOver,
    configuration,
    exported,
    fitting,
    secrets_of,
    taken_over,
)
from allegro.settings.differences import Difference, differences
from allegro.settings.masks import hidden
from allegro.settings.model import Settings
from allegro.settings.past_changes import PastChanges
from allegro.settings.patches import merged
from allegro.words import utc

Try = Callable[[Mapping[str, Any]], tuple[Settings, Settings]]
"""The settings now, and with a patch; raises InvalidInput as the change would."""

_PASSWORD = Field(
    default="",
    max_length=LONGEST,
    description="Of the file's secrets; empty: without them",
    json_schema_extra={"secret": True},
)


class ExportRequest(BaseModel):
    """How the file is to be made."""

    model_config = ConfigDict(extra="forbid")

    password: str = _PASSWORD


_WITHOUT = ExportRequest()


class ConfigurationFile(BaseModel):
    """A configuration to compare with or to import."""

    model_config = ConfigDict(extra="forbid")

    file: dict[str, Any] = Field(description="The content of the file, as it was exported")
    password: str = _PASSWORD
    sections: list[str] | None = Field(
        default=None, max_length=100, description="Only these sections of the settings; null: all of them"
    )


class SettingChange(BaseModel):
    """A setting with two values. A table is one value; of a secret only is told whether it is set."""

    section: str
    place: str = Field(description="The setting, such as trigger.before_s")
    label: str = Field(description="What the page calls it")
    before: Any
    after: Any

    @classmethod
    def of(cls, each: Difference) -> "SettingChange":
        """As the API tells it."""
        return cls(
            section=each.section, place=each.place, label=each.label, before=each.before, after=each.after
        )


class Comparison(BaseModel):
    """What an import would change."""

    device: str = Field(description="The name of the device that has written the file, as it says")
    firmware: str = Field(description="Its firmware version then")
    time: str = Field(description="When that was, as the file says")
    has_secrets: bool = Field(description="Whether the file holds secrets, which need its password")
    changes: list[SettingChange]
    left_out: list[str] = Field(description="What this device does not take over, with the reason, in words")
    etag: str = Field(
        description="Of the present settings: as If-Match of the import it makes sure that they are these"
    )


class Imported(SettingsChanged):
    """What holds after an import."""

    left_out: list[str] = Field(description="What was not taken over, with the reason, in words")


class PastChangeAnswer(BaseModel):
    """A change of the settings."""

    id: int = Field(description="Grows with each change")
    time: str
    who: str = Field(description="User, token: and its name, root; empty: the device itself")
    changes: list[SettingChange]


class PastChangesAnswer(BaseModel):
    """The last changes, newest first."""

    changes: list[PastChangeAnswer]
    etag: str = Field(description="Of the present settings: as If-Match of a way back, see the comparison")


def router(
    *,
    device: Callable[[], str],
    firmware: str,
    now_ns: Callable[[], int],
    current: Callable[[], Settings],
    change: Change,
    attempt: Try,
    past: PastChanges,
    remaining_s: Callable[[], float | None],
) -> APIRouter:
    """Everything below /configuration. `attempt`: what a change would make; `remaining_s`: see settings."""
    routes = noun("configuration", "/configuration")

    def read(wanted: ConfigurationFile) -> TakenOver:
        file = configuration(wanted.file)
        settings = merged(file.settings, secrets_of(file, wanted.password))
        return fitting(taken_over(settings, current(), wanted.sections), attempt)

    @routes.post("/export", dependencies=[requires("admin")])
    def export(request: Request, wanted: Annotated[ExportRequest, Body()] = _WITHOUT) -> dict[str, Any]:
        """All settings as one file (JSON); with a password also the secrets, sealed by it."""
        if wanted.password:
            check_new(wanted.password, "")
        facts = {"device": device(), "firmware": firmware, "time": utc(now_ns())}
        content = exported(current(), wanted.password, **facts)
        say(request, f"Exported the configuration {'with' if 'secrets' in content else 'without'} secrets")
        return content

    @routes.post("/compare", dependencies=[requires("admin")])
    def compare(wanted: ConfigurationFile, request: Request) -> Comparison:
        """What an import would change. Nothing is changed."""
        file = configuration(wanted.file)
        taken = read(wanted)
        old, new = attempt(taken.patch)
        say(request, "Compared a configuration with the present one")
        return Comparison(
            device=file.device,
            firmware=file.firmware,
            time=file.time,
            has_secrets=file.box is not None,
            changes=_changes(old, new),
            left_out=list(taken.left_out),
            etag=tag(old),
        )

    def saved(
        request: Request, patch: Mapping[str, Any], if_match: str | None, later_s: float, did: str
    ) -> SettingsChanged:
        old: list[Settings] = []

        def unchanged(present: Settings) -> None:
            made_for(present, "", if_match)
            old.append(present)

        new, warnings = change(patch, unchanged, later_s, who=user_of(request.scope))
        say(request, f"{did}: {what_changed(old[0], new)}")
        return SettingsChanged(settings=hidden(new), warnings=warnings, confirm_within_s=remaining_s())

    @routes.post("/import", dependencies=[requires("admin")])
    def import_(
        wanted: ConfigurationFile,
        request: Request,
        if_match: IfMatch = None,
        apply_after_s: ApplyAfter = 0.0,
    ) -> Imported:
        """Takes over the settings of a file: all of them at once, or nothing if they do not go together.

        Settings that the file does not name stay as they are; secrets, too, without the password. What this
        version or this device does not accept is left out.
        """
        taken = read(wanted)
        done = saved(request, taken.patch, if_match, apply_after_s, "Imported a configuration")
        return Imported(**dict(done), left_out=list(taken.left_out))

    @routes.get("/history", dependencies=[requires("admin")])
    def history() -> PastChangesAnswer:
        """The last changes of the settings, newest first."""
        present = current()
        return PastChangesAnswer(
            etag=tag(present),
            changes=[
                PastChangeAnswer(
                    id=each.id,
                    time=utc(each.time_ns),
                    who=each.who,
                    changes=[SettingChange.of(one) for one in each.differences],
                )
                for each in past.all(present)
            ],
        )

    @routes.post("/history/{number}/return", dependencies=[requires("admin")])
    def return_(
        number: Annotated[int, Path(ge=1, le=1 << 53, description="The id of a change")],
        request: Request,
        if_match: IfMatch = None,
        apply_after_s: ApplyAfter = 0.0,
    ) -> SettingsChanged:
        """Back to the settings as they were before this change, so that it and all later ones are undone."""
        back = past.way_back(number, current())
        return saved(request, back, if_match, apply_after_s, f"Went back to before change {number}")

    return routes


def _changes(old: Settings, new: Settings) -> list[SettingChange]:
    return [
        SettingChange.of(each)
        for each in differences(old.model_dump(mode="json"), new.model_dump(mode="json"))
    ]
