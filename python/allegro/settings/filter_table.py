"""The filter table: one press makes a file for each of its rows."""

from typing import Literal

from pydantic import Field, field_validator

from allegro.errors import InvalidInput
from allegro.settings.base import Section, Text, mistake

MOST = 200


def checked_filter(value: str) -> str:
    """A filter without blanks around; raises ValueError for what is none. Link groups are not looked up."""
    if value.strip():
        from allegro.filters.translate import checked  # with the first filter: a start does not need it

        try:
            checked(value, groups=None)
        except InvalidInput as error:
            raise ValueError(f"{error.message} {error.remedy}".strip()) from None
    return value.strip()


class FilterRow(Section):
    """One file of each press of its key."""

    enabled: bool = Field(default=True, title="In use", description="Whether presses make this file")
    key: Literal["any", "next", "prev", "play", "black", "other"] = Field(
        default="any",
        title="Key",
        description="The key of the presenter; any is also Press now, the API and the command line",
    )
    name: Text = Field(min_length=1, max_length=64, description="Stands in the name of the file")
    filter: Text = Field(
        default="",
        max_length=4096,
        title="Filter",
        description="Only packets that match are in the file; empty: all",
        json_schema_extra={"format": "filter"},
    )

    @field_validator("name")
    @classmethod
    def _name_is_one(cls, value: str) -> str:
        if not any(char.isascii() and char.isalnum() for char in value):
            raise ValueError("needs a letter from A to Z or a digit, as it stands in the name of the file")
        return value.strip()

    @field_validator("filter")
    @classmethod
    def _filter_is_one(cls, value: str) -> str:
        return checked_filter(value)


def each_name_once(rows: tuple[FilterRow, ...]) -> tuple[FilterRow, ...]:
    """The rows; raises the mistake of a name that is there twice."""
    names = [row.name.casefold() for row in rows]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise mistake(f"there is a row {rows[number].name} already", rows[number].name, number, "name")
    return rows
