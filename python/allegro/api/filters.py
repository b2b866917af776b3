"""Filters: what can be asked, whether a text is one, what can be written next."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from allegro.accounts.roles import includes
from allegro.api.asker import role_of
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.capture.status import RecorderStatus
from allegro.errors import InvalidInput
from allegro.filters import completion
from allegro.filters.device import GroupTexts
from allegro.filters.mistake import FilterError
from allegro.filters.translate import device_with, translated

Text = Annotated[str, Query(description="A filter, or its beginning")]


class FieldAnswer(BaseModel):
    """A field of filters."""

    name: str
    operators: list[str]
    values: list[str] = Field(description="Those with names that this device knows")
    expects: str = Field(description="What values look like, in words")


class FieldsAnswer(BaseModel):
    """All fields, in the order of the manual."""

    fields: list[FieldAnswer]


class MistakeAnswer(BaseModel):
    """Why a text is no filter."""

    message: str = Field(description="Where, what is there and what was expected")
    remedy: str = Field(description="What may be meant; may be empty")
    column: int = Field(description="Of the first character that does not fit, counted from 1")
    length: int = Field(description="How many characters do not fit; 0 if something is missing at the end")


class CheckAnswer(BaseModel):
    """A filter in its one form, or a mistake."""

    filter: str = Field(
        description="The same filter as the device writes it; empty: everything, or no filter"
    )
    mistake: MistakeAnswer | None


class CompletionAnswer(BaseModel):
    """What can be written next."""

    start: int = Field(description="Offset of the piece at the end of the text that is to be replaced")
    words: list[str] = Field(description="Each can stand there; none if there is a mistake before")


def router(
    recorder: Callable[[], RecorderStatus | None],
    groups: Callable[[], GroupTexts],
    seen: completion.Seen,
) -> APIRouter:
    """GET /filter, /filter/check, /filter/completion; the recorder knows the ports, None: it is silent.

    `groups` are the link groups, `seen` values that packets have had lately.
    """
    routes = noun("filter", "/filter")

    def ports() -> list[str] | None:
        status = recorder()
        return [port.name for port in status.ports] or None if status else None

    @routes.get("", dependencies=[requires("viewer")])
    def fields() -> FieldsAnswer:
        """What filters can ask of a packet."""
        found = completion.fields(device_with(ports(), groups()))
        return FieldsAnswer(fields=[FieldAnswer.model_validate(asdict(each)) for each in found])

    @routes.get("/check", dependencies=[requires("viewer")])
    def check(text: Text) -> CheckAnswer:
        """Whether a text is a filter on this device, and where not."""
        try:
            return CheckAnswer(filter=translated(text, ports(), groups())[0], mistake=None)
        except InvalidInput as error:  # too large: as a whole
            at = (error.column, error.length) if isinstance(error, FilterError) else (1, len(text))
            mistake = MistakeAnswer(message=error.message, remedy=error.remedy, column=at[0], length=at[1])
        return CheckAnswer(filter="", mistake=mistake)

    @routes.get("/completion", dependencies=[requires("viewer")])
    def complete(text: Text, request: Request) -> CompletionAnswer:
        """What can follow on the beginning of a filter; who may open captures (capture, admin) is also shown
        addresses, ports, VLANs and labels that the newest packets have."""
        role = role_of(request.scope)
        known = seen if role and includes(role, "capture") else dict
        found = completion.complete(text, device_with(ports(), groups()), known)
        return CompletionAnswer(start=found.start, words=list(found.words))

    return routes
