"""Every failure of the API has one shape: {"error": {"message", "place", "remedy"}}, in plain words."""

import logging
from collections.abc import Collection, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from allegro.api.client import shape
from allegro.errors import AllegroError
from allegro.settings.base import in_words

log = logging.getLogger(__name__)

REFERENCE = "#/components/schemas/{model}"
"""Where a description has its models (OpenAPI 3.1, 4.8.7)."""


class Mistake(BaseModel):
    """What happened, where, and what to do about it."""

    message: str = Field(description="What happened, in plain words")
    place: str = Field(description="The setting, field, file or port that it is about; may be empty")
    remedy: str = Field(description="What the user can do; may be empty")


class ErrorDetail(Mistake):
    """The first thing that is wrong, and what is wrong besides."""

    more: list[Mistake] = Field(
        default=[], description="What is wrong at other places of the same request; left out if nothing is"
    )


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


_CONTENT = {"application/json": {"schema": {"$ref": REFERENCE.format(model=ErrorAnswer.__name__)}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request cannot be done; the answer says why", "content": _CONTENT},
    "5XX": {
        "description": "The device cannot do it at the moment; the answer says why",
        "content": _CONTENT,
    },
}
"""For `responses=` of every router: true for each route, because `install` handles every exception.

By reference: of a model FastAPI would make a validator of its own for each route, at every start.
"""


def schemas() -> dict[str, Any]:
    """What ERRORS refers to, for the components of a description."""
    whole = ErrorAnswer.model_json_schema(ref_template=REFERENCE, mode="serialization")
    return {**whole.pop("$defs"), ErrorAnswer.__name__: whole}


def install(app: FastAPI) -> None:
    """Lets `app` answer every failure in the one shape."""
    app.add_exception_handler(AllegroError, _allegro_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected_error)


def answer(error: AllegroError) -> JSONResponse:
    """The failure as an answer."""
    return JSONResponse(shape(error), status_code=error.status)


def _answer(status: int, message: str, place: str = "", remedy: str = "") -> JSONResponse:
    return JSONResponse(shape(AllegroError(message, place=place, remedy=remedy)), status_code=status)


async def _allegro_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AllegroError)  # noqa: S101 (registered for it)
    return answer(error)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (registered for it)
    message, place = first_mistake(error.errors(), _secrets(request))
    return _answer(422, message, place)


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 (registered for it)
    words = {
        404: "There is no such address in this API.",
        405: f"{request.method} is not possible here.",
    }
    remedy = "The API is described in /api/openapi.json." if error.status_code in words else ""
    return _answer(
        error.status_code, words.get(error.status_code, f"{error.detail}."), request.url.path, remedy
    )


async def _unexpected_error(request: Request, error: Exception) -> JSONResponse:
    log.error("%s %s failed unexpectedly", request.method, request.url.path, exc_info=error)
    return _answer(
        500,
        "Something unexpected went wrong in the device.",
        request.url.path,
        "The system log says more (`journalctl -u allegro-supervisor`).",
    )


def _secrets(request: Request) -> frozenset[str]:
    """The fields of the body that the route's model calls secret, as the settings' models do."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model = body.field_info.annotation if body is not None else None
    fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
    marks = {name: field.json_schema_extra for name, field in fields.items()}
    return frozenset(name for name, mark in marks.items() if isinstance(mark, dict) and mark.get("secret"))


def first_mistake(errors: Sequence[Any], secrets: Collection[str] = ()) -> tuple[str, str]:
    """(message, place) of the first mistake in a request, in plain words; `errors` as pydantic lists them.

    Values of the fields `secrets` are not repeated.
    """
    first = errors[0]
    # The first part of the location only says where in the request: body, query or path.
    place = ".".join(str(part) for part in first["loc"][1:])
    kind = first["type"]
    if kind == "json_invalid":
        return "The request is not valid JSON.", ""
    if kind == "extra_forbidden":
        return "There is no such field.", place
    if kind == "missing":
        return ("This field is missing." if place else "The request has no body."), place
    if kind in ("model_attributes_type", "dict_type"):
        return "A JSON object is expected (Content-Type: application/json).", place
    shown = first.get("input") if place not in secrets else None
    value = f" (got {shown!r})" if isinstance(shown, str | int | float) else ""
    return f"{in_words(first['msg'])}{value}.", place
