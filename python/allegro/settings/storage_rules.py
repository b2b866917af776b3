"""The section `storage`: how much captures may take, and what becomes of those that have been uploaded."""

from typing import Literal

from pydantic import Field

from allegro.settings.base import Section


class Storage(Section):
    """Storage."""

    device: str = Field(
        default="",
        max_length=64,
        pattern=r"^[0-9A-Za-z-]*$",
        title="Disk for captures",
        description="Id (UUID) of the file system that captures are moved to; empty: they stay on the device",
    )
    limit_mib: int = Field(
        default=0,
        ge=0,
        le=64 * 1024 * 1024,
        title="Limit for captures (MiB)",
        description="So many MiB all captures together may take; more is refused; 0 = no limit",
    )
    uploaded: Literal["delete", "keep", "make-room"] = Field(
        default="delete",
        title="After the upload",
        description="What becomes of it here when the server has it; for space, the oldest go first",
        json_schema_extra={
            "choices": {
                "delete": "Delete it",
                "keep": "Keep it",
                "make-room": "Keep until space is needed",
            },
        },
    )
