"""The packet ring: what it holds, how fast it fills, what was lost."""

from collections.abc import Callable
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from allegro.api.audit import say
from allegro.api.judge import requires
from allegro.api.noun import noun
from allegro.capture.extraction.traffic import Traffic
from allegro.capture.status import PortStatus, RecorderStatus
from allegro.errors import InvalidInput
from allegro.trigger.windows import parsed_time
from allegro.words import SECOND_NS, utc, utc_or_none


class PortAnswer(BaseModel):
    """One measuring port; counts since the recorder opened it."""

    name: str
    link_up: bool
    packets: int = Field(description="Packets that came in, with those that were lost")
    bytes: int = Field(description="Bytes that came in")
    drops: int = Field(description="Packets lost between kernel and ring")
    nic_missed: int = Field(description="Packets lost in the network card")
    discarded: int = Field(
        description="About how many packets a slicing rule discarded; none of them is lost"
    )
    packets_per_s: float
    bytes_per_s: float

    @classmethod
    def of(cls, port: PortStatus) -> Self:
        """The port as the API shows it."""
        return cls(
            name=port.name,
            link_up=port.link_up,
            packets=port.packets,
            bytes=port.bytes,
            drops=port.drops,
            nic_missed=port.nic_missed,
            discarded=port.discarded,
            packets_per_s=port.packets_per_s,
            bytes_per_s=port.bytes_per_s,
        )


class RingAnswer(BaseModel):
    """The ring and the recorder that fills it."""

    state: Literal["recording", "no-ring", "starting", "silent"] = Field(
        description="silent: the recorder has not been heard of, so that it is not known"
    )
    message: str = Field(description="Plain words about what is wrong; may be empty")
    directory: str = Field(description="Where the ring lies; empty if that is not known")
    in_memory_since: str | None = Field(
        description="Since when the ring is one in memory, as its disk cannot be used; null: it is not"
    )
    size: int = Field(description="Bytes reserved on disk, or in memory")
    used: int = Field(description="Bytes taken by packets; equals about the size once the ring is full")
    oldest_time: str | None = Field(description="Time of the oldest packet, if there is one")
    newest_time: str | None = Field(description="Time of the newest packet, if there is one")
    ring_packets: int = Field(description="Packets in the ring now")
    ring_bytes: int = Field(description="Bytes of these packets, with 48 to 80 bytes of the kernel for each")
    packets: int = Field(description="Packets since the recorder's start")
    bytes: int = Field(description="Bytes since the recorder's start")
    packets_per_s: float
    bytes_per_s: float
    drops: int = Field(description="Packets lost between kernel and ring since the recorder's start")
    nic_missed: int = Field(description="Packets lost in network cards since the recorder's start")
    discarded: int = Field(description="About how many packets slicing rules discarded since then")
    rules: str = Field(description="The slicing rules in words; empty: every packet is kept whole")
    write_errors: int = Field(description="Writes that the disk refused since the recorder's start")
    reach_back_s: float = Field(description="How far back in time the ring reaches, in seconds")
    ports: list[PortAnswer]

    @classmethod
    def of(cls, status: RecorderStatus | None) -> Self:
        """What the recorder said; None if it is silent."""
        known = status or RecorderStatus()
        ring = known.ring
        return cls(
            state="silent" if status is None else _state(status.state),
            message="The recorder has not been heard of." if status is None else status.message,
            directory=known.ring_directory,
            in_memory_since=utc_or_none(known.in_memory_since_ns or None),
            size=ring.size if ring else 0,
            used=ring.used if ring else 0,
            oldest_time=utc_or_none(ring.oldest_ns if ring else None),
            newest_time=utc_or_none(ring.newest_ns if ring else None),
            ring_packets=ring.packets if ring else 0,
            ring_bytes=ring.bytes if ring else 0,
            packets=known.packets,
            bytes=known.bytes,
            packets_per_s=known.packets_per_s,
            bytes_per_s=known.bytes_per_s,
            drops=known.drops,
            nic_missed=known.nic_missed,
            discarded=known.discarded,
            rules=known.rules,
            write_errors=known.write_errors,
            reach_back_s=known.reach_back_s,
            ports=[PortAnswer.of(port) for port in known.ports],
        )


def _state(state: str) -> Literal["recording", "no-ring", "starting"]:
    match state:
        case "recording" | "no-ring":
            return state
        case _:
            return "starting"


class TimelinePort(BaseModel):
    """The packets of one port, or of all together, step by step."""

    name: str = Field(description="Empty for all ports together, where the window holds much")
    packets: list[float] = Field(description="Packets in the ring, of each step; estimated within a record")
    lost: list[float] | None = Field(description="Packets lost in each step; null where that is not known")


class SpanAnswer(BaseModel):
    """From one moment to another."""

    start_time: str
    end_time: str


class ClockStepAnswer(BaseModel):
    """The clock was set."""

    time: str = Field(description="When, by the clock as it is set now")
    size_s: float = Field(description="By how much, in seconds; negative: back")


class TimelineAnswer(BaseModel):
    """What the ring holds, over time: by the clock as it is set now."""

    start_time: str = Field(description="First moment of the first step")
    end_time: str = Field(description="Last moment of the last step")
    step_s: float = Field(description="Length of a step in seconds")
    oldest_time: str | None = Field(description="Time of the oldest packet in the ring, if there is one")
    newest_time: str | None = Field(description="Time of the newest packet in the ring, if there is one")
    ports: list[TimelinePort]
    away: list[SpanAnswer] = Field(description="When the recorder was not running, of a second and more")
    clock_steps: list[ClockStepAnswer] = Field(
        description="When the clock was set, as far as each port is shown by itself"
    )

    @classmethod
    def of(cls, found: Traffic, steps: int) -> Self:
        """The traffic as the API shows it."""
        start_ns, end_ns = found.window
        return cls(
            start_time=utc(start_ns),
            end_time=utc(end_ns),
            step_s=(end_ns - start_ns) / steps / SECOND_NS,
            oldest_time=utc_or_none(found.oldest_ns or None),
            newest_time=utc_or_none(found.newest_ns or None),
            ports=[
                TimelinePort(
                    name=name,
                    packets=_rounded(counts),
                    lost=_rounded(found.lost[name]) if name in found.lost else None,
                )
                for name, counts in found.packets.items()
            ],
            away=[SpanAnswer(start_time=utc(start), end_time=utc(end)) for start, end in found.away],
            clock_steps=[
                ClockStepAnswer(time=utc(moment_ns), size_s=size_ns / SECOND_NS)
                for moment_ns, size_ns in found.steps
            ],
        )


ReadTraffic = Callable[[int | None, int | None, int], Traffic]
"""Of the ring between two moments (ns since 1970; None: its own ends), in so many steps."""


def router(
    recorder: Callable[[], RecorderStatus | None], read_traffic: ReadTraffic, restart: Callable[[], None]
) -> APIRouter:
    """GET /ring, GET /ring/timeline, POST /ring/restart. `recorder`: None when the recorder is silent."""
    routes = noun("ring")

    @routes.get("/ring/timeline", dependencies=[requires("viewer")])
    def timeline(
        start: Annotated[str, Query(description="ISO 8601; without it that of the oldest packet")] = "",
        end: Annotated[str, Query(description="ISO 8601; without it that of the newest packet")] = "",
        steps: Annotated[int, Query(ge=1, le=2000, description="So many steps of the same length")] = 300,
    ) -> TimelineAnswer:
        """Traffic, losses and gaps over time, of the whole ring or of a part of it.

        It is made of summaries, so that it takes a moment however much the ring holds.
        """
        start_ns = parsed_time(start, "start") if start else None
        end_ns = parsed_time(end, "end") if end else None
        if start_ns is not None and end_ns is not None and end_ns <= start_ns:
            raise InvalidInput("The end has to come after the start.", place="end")
        found = read_traffic(start_ns, end_ns, steps)
        return TimelineAnswer.of(found, steps)

    @routes.get("/ring", dependencies=[requires("viewer")])
    def ring() -> RingAnswer:
        """The state of the packet ring and of the measuring ports."""
        return RingAnswer.of(recorder())

    @routes.post("/ring/restart", dependencies=[requires("admin")], status_code=204)
    def restart_recording(request: Request) -> None:
        """Starts the recorder anew. What passes meanwhile, about a second, is not recorded; links go on."""
        restart()
        say(request, "Restarted recording")

    return routes


def _rounded(counts: list[float]) -> list[float]:
    """Short numbers: a picture has hundreds of them."""
    return [round(count, 1) for count in counts]
