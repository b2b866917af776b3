"""A router for the routes of one noun of the API."""

from fastapi import APIRouter

from allegro.api.errors import ERRORS

PREFIX = "/api"


def noun(tag: str, path: str = "") -> APIRouter:
    """Its routes lie below `/api` and `path`, and fail in the one shape; `tag` is their group."""
    return APIRouter(prefix=f"{PREFIX}{path}", tags=[tag], responses=ERRORS)
