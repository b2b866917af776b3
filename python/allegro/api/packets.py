"""Packets looked at without downloading them: of a finished capture, or of a window of the ring."""

import base64
import time
from collections.abc import Sequence
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from allegro.api.audit import say
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.errors import InvalidInput
from allegro.packets.packet_sources import Source, WindowSource, file_source
from allegro.packets.packet_views import PacketViews, Shown
from allegro.packets.sharkd_answers import Detail, Details, Row, Stream, Transport
from allegro.storage.captures import Captures
from allegro.trigger.windows import MAX_BEFORE_S, parsed_time
from allegro.words import SECOND_NS, moment

MOST_ROWS = 1000
MOST_SKIPPED = 1_000_000

_LONGEST_NAME = 255
_LONGEST_FILTER = 4096
_LONGEST_TIME = 64


class PacketRow(BaseModel):
    """One packet in the table, as Wireshark shows it."""

    number: int = Field(description="From 1 on")
    time: str = Field(description="ISO 8601, UTC")
    source: str
    destination: str
    protocol: str
    length: int = Field(description="Bytes on the wire")
    info: str

    @classmethod
    def of(cls, row: Row) -> Self:
        """The row as the API shows it."""
        return cls(
            number=row.number,
            time=row.time,
            source=row.source,
            destination=row.destination,
            protocol=row.protocol,
            length=row.length,
            info=row.info,
        )


class PacketsAnswer(BaseModel):
    """The first packets that the filter lets through."""

    packets: list[PacketRow]
    count: int = Field(description="So many can be looked at")
    more: bool = Field(description="Whether there are, or may be, further ones, which a download holds")
    notes: list[str] = Field(description="What is missing, in plain words")
    digest: str = Field(description="For `digest` of the other operations: these packets and no others")

    @classmethod
    def of(cls, shown: Shown, offset: int, limit: int) -> Self:
        """A part of the table as the API shows it."""
        return cls(
            packets=[PacketRow.of(row) for row in shown.rows[offset : offset + limit]],
            count=len(shown.rows),
            more=shown.more,
            notes=list(shown.notes),
            digest=shown.digest,
        )


class DetailAnswer(BaseModel):
    """A line of what is known of a packet."""

    text: str
    at: int | None = Field(description="The first of its bytes that this is about, from 0 on, if it is known")
    length: int | None = Field(description="So many bytes from there on")
    below: list["DetailAnswer"]

    @classmethod
    def all_of(cls, details: Sequence[Detail]) -> list["DetailAnswer"]:
        """The lines as the API shows them."""
        return [
            cls(text=each.text, at=each.at, length=each.length, below=cls.all_of(each.below))
            for each in details
        ]


class PacketAnswer(BaseModel):
    """One packet."""

    packet: PacketRow
    details: list[DetailAnswer]
    cut: bool = Field(description="Whether there are more details than can be shown")
    data: str = Field(description="Its bytes, Base64")
    streams: list[Transport] = Field(description="Of which streams it is")

    @classmethod
    def of(cls, row: Row, details: Details) -> Self:
        """The packet as the API shows it."""
        return cls(
            packet=PacketRow.of(row),
            details=DetailAnswer.all_of(details.tree),
            cut=details.cut,
            data=base64.b64encode(details.data).decode(),
            streams=list(details.streams),
        )


class PieceAnswer(BaseModel):
    """What one packet carried."""

    number: int = Field(description="Of the packet")
    from_server: bool
    data: str = Field(description="Base64")


class StreamAnswer(BaseModel):
    """What the two ends of a stream said to each other, as far as the table has its packets."""

    client: str = Field(description="Address and port of who spoke first")
    server: str
    pieces: list[PieceAnswer]

    @classmethod
    def of(cls, stream: Stream) -> Self:
        """The stream as the API shows it."""
        return cls(
            client=stream.client,
            server=stream.server,
            pieces=[
                PieceAnswer(
                    number=piece.number,
                    from_server=piece.from_server,
                    data=base64.b64encode(piece.data).decode(),
                )
                for piece in stream.pieces
            ],
        )


def router(views: PacketViews, captures: Captures) -> APIRouter:
    """GET /packets, /packets/{number} and /packets/{number}/stream."""
    routes = noun("packets", "/packets")

    def asked(
        request: Request,
        file: Annotated[
            str,
            Query(max_length=_LONGEST_NAME, description="A finished capture; empty: a window of the ring"),
        ] = "",
        start: Annotated[
            str,
            Query(max_length=_LONGEST_TIME, description="Begin of the window, ISO 8601; UTC without a zone"),
        ] = "",
        end: Annotated[str, Query(max_length=_LONGEST_TIME, description="Its end, a day later at most")] = "",
        text: Annotated[
            str,
            Query(
                alias="filter", max_length=_LONGEST_FILTER, description="Only packets that match; empty: all"
            ),
        ] = "",
        skip: Annotated[
            int, Query(ge=0, le=MOST_SKIPPED, description="Leaves out so many packets that match first")
        ] = 0,
    ) -> Source:
        source: Source = (
            file_source(file, captures.path(file), text, skip) if file else _window(start, end, text, skip)
        )
        say(request, f"Looked at packets of {_words(source)}")
        return source

    asked_for = Annotated[Source, Depends(asked)]
    numbered = Annotated[int, Path(ge=1, le=MOST_ROWS, description="The packet, by its number in the table")]
    same = Annotated[
        str, Query(max_length=64, description="Refused (409) if the table is not the one of this `digest`")
    ]

    @routes.get("", dependencies=[requires("capture")])
    def packets(
        source: asked_for,
        offset: Annotated[int, Query(ge=0, le=MOST_ROWS, description="Leaves out so many first")] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="At most so many")] = MOST_ROWS,
    ) -> PacketsAnswer:
        """1,000 packets (of 16 MiB at most) that the filter lets through, without a download.

        The first ones, or those behind `skip` of them.
        """
        return PacketsAnswer.of(views.shown(source), offset, limit)

    @routes.get("/{number}", dependencies=[requires("capture")])
    def packet(source: asked_for, number: numbered, digest: same = "") -> PacketAnswer:
        """One of these packets: what is known of it, and its bytes."""
        return PacketAnswer.of(*views.details(source, number, digest))

    @routes.get("/{number}/stream", dependencies=[requires("capture")])
    def stream(
        source: asked_for,
        number: numbered,
        protocol: Annotated[Transport, Query()] = "TCP",
        digest: same = "",
    ) -> StreamAnswer:
        """The stream that one of these packets is of, as far as they hold it."""
        return StreamAnswer.of(views.stream(source, number, protocol, digest))

    return routes


def _window(start: str, end: str, text: str, skip: int) -> WindowSource:
    if not start or not end:
        raise InvalidInput(
            "It is not said what to look at.", place="file", remedy="Name a file, or a start and an end."
        )
    start_ns, end_ns = parsed_time(start, "start"), parsed_time(end, "end")
    if start_ns < 0:
        raise InvalidInput("The time lies before 1970.", place="start")
    if start_ns > time.time_ns():
        raise InvalidInput("The time lies in the future.", place="start")
    if end_ns <= start_ns:
        raise InvalidInput("The end has to come after the start.", place="end")
    if end_ns - start_ns > MAX_BEFORE_S * SECOND_NS:
        raise InvalidInput("This is more than a day.", place="start", remedy="Choose a shorter time.")
    return WindowSource(start_ns, end_ns, text, skip)


def _words(source: Source) -> str:
    if isinstance(source, WindowSource):
        return f"the ring from {moment(source.start_ns)} to {moment(source.end_ns)}"
    return source.name
