"""The filter table: one press makes a file for each of its rows. And what files of presses look like."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from allegro.errors import InvalidInput
from allegro.settings.base import Section, Text, mistake

MOST = 200
LONGEST_PACKET = 65535
LARGEST_FILE_MIB = 1024 * 1024

FileFormat = Annotated[
    Literal["pcapng", "pcap"],
    Field(
        title="Format",
        description="pcap is the classic format, with nanoseconds, for programs that do not read pcapng;"
        " which port a packet is of it does not say, and what is missing stands in a text beside it",
        json_schema_extra={"choices": {"pcapng": "pcapng", "pcap": "pcap (classic)"}},
    ),
]
PacketLength = Annotated[
    int,
    Field(
        ge=0,
        le=LONGEST_PACKET,
        title="Packet length (bytes)",
        description="So many bytes at the beginning of each packet are saved, VLAN tags counted; 0: whole"
        " packets. Even short ones may hold passwords",
    ),
]
SizeLimit = Annotated[
    int,
    Field(
        ge=0,
        le=LARGEST_FILE_MIB,
        title="Size limit (MiB)",
        description="The file ends before it is larger, with the first packets of its time; 0: no limit",
    ),
]


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
    format: FileFormat = "pcapng"
    packet_length: PacketLength = 0
    size_limit_mib: SizeLimit = 0

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
