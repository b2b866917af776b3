"""Packets of a capture or of a window of the ring, looked at in the page: table, one packet, one stream."""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from allegro.errors import AllegroError
from allegro.web.local_time import in_zone
from allegro.web.site import Action, Page, Visit
from allegro.web.template_filters import moment

PATH = "/packets"
PER_PAGE = 200
LAST_PAGE = 6
"""Behind the end of any list: there are 1,000 packets at most."""

LONGEST = {"file": 255, "start": 64, "end": 64, "filter": 4096, "skip": 7}
MOST_TEXT = 64 * 1024
"""Bytes of a stream that are shown."""

_IN_LINE = 16
_END = re.compile(r"\[?([0-9a-fA-F.:]+?)\]?:(\d{1,5})")


async def _look(visit: Visit) -> Response:
    asked = _asked(visit)
    if not asked.get("file") and not asked.get("start"):
        return visit.render("packets.html", error=None, found=None, **_frame(visit))
    number = min(_number(visit, "page"), LAST_PAGE)
    query = {**asked, "offset": str((number - 1) * PER_PAGE), "limit": str(PER_PAGE)}
    try:
        found = await visit.api.get(f"/packets?{urlencode(query)}")
    except AllegroError as error:
        return visit.render("packets.html", status=error.status, error=error, found=None, **_frame(visit))
    return visit.render(
        "packets.html",
        error=None,
        found=found,
        rows=_rows(found["packets"], visit.zone),
        number=number,
        pages=max(1, ceil(found["count"] / PER_PAGE)),
        beginning=_suffix(_without_skip(asked)),
        following=_suffix({**asked, "skip": str(int(asked.get("skip", 0)) + found["count"])}),
        **_frame(visit, found["digest"]),
    )


async def _packet(visit: Visit) -> Response:
    number = _number(visit, "number")
    found = await visit.api.get(f"/packets/{number}?{urlencode(_same(visit))}")
    data = base64.b64decode(found["data"])
    return visit.render(
        "parts/packet.html" if visit.is_part else "packet.html",
        row=_rows([found["packet"]], visit.zone)[0],
        found=found,
        dump=hex_dump(data),
        **_frame(visit, visit.request.query_params.get("digest", "")),
    )


async def _stream(visit: Visit) -> Response:
    number = _number(visit, "number")
    protocol = "UDP" if visit.request.query_params.get("protocol") == "UDP" else "TCP"
    query = {**_same(visit), "protocol": protocol}
    found = await visit.api.get(f"/packets/{number}/stream?{urlencode(query)}")
    shown, left = [], MOST_TEXT
    for piece in found["pieces"]:
        data = base64.b64decode(piece["data"])[:left]
        left -= len(data)
        if data:
            shown.append({**piece, "text": readable(data)})
    asked = _asked(visit)
    only = only_stream(protocol, found["client"], found["server"])
    wanted = f"({asked['filter']}) and {only}" if asked.get("filter") and only else only
    return visit.render(
        "stream.html",
        found=found,
        shown=shown,
        cut=left == 0,
        protocol=protocol,
        number=number,
        all_of_it=_suffix({**_without_skip(asked), "filter": wanted}) if only else "",
        **_frame(visit, visit.request.query_params.get("digest", "")),
    )


def _asked(visit: Visit) -> dict[str, str]:
    """What is looked at, by the address of the page."""
    query = visit.request.query_params
    asked = {name: query.get(name, "")[:longest].strip() for name, longest in LONGEST.items()}
    if not (asked["skip"].isascii() and asked["skip"].isdecimal() and int(asked["skip"])):
        asked["skip"] = ""
    return {name: value for name, value in asked.items() if value}


def _without_skip(asked: Mapping[str, str]) -> dict[str, str]:
    """The same from the first packet on."""
    return {name: value for name, value in asked.items() if name != "skip"}


def _same(visit: Visit) -> dict[str, str]:
    digest = visit.request.query_params.get("digest", "")[:64]
    return {**_asked(visit), **({"digest": digest} if digest else {})}


def _frame(visit: Visit, digest: str = "") -> Mapping[str, Any]:
    """What all three pages show of what is looked at. `query` leads to the same packets and no others."""
    asked = _asked(visit)
    ends = [_moment(asked.get(name, ""), visit.zone) for name in ("start", "end")]
    return {
        "asked": asked,
        "skipped": int(asked.get("skip", 0)),
        "title": asked.get("file") or (f"Ring, {ends[0]} to {ends[1]}" if any(ends) else ""),
        "query": _suffix({**asked, "digest": digest} if digest else asked),
        "list_query": _suffix(asked),
    }


def _moment(text: str, zone: str) -> str:
    """A time of the page's address in the zone; as it stands there if it is none."""
    try:
        return moment(datetime.fromisoformat(text).astimezone(UTC).isoformat(), zone)
    except (ValueError, OverflowError):
        return text


def _suffix(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query)}"


def _number(visit: Visit, name: str) -> int:
    asked = visit.request.query_params.get(name, "")
    return max(1, int(asked)) if asked.isascii() and asked.isdecimal() and len(asked) < 5 else 1


def _rows(packets: list[dict[str, Any]], zone: str) -> list[dict[str, Any]]:
    """With the day and the time in the zone; the day only where it is another one than before."""
    rows = []
    before = ""
    for packet in packets:
        local = in_zone(packet["time"], zone)
        day = f"{local:%Y-%m-%d}"
        clock = f"{local:%H:%M:%S}{packet['time'][19:26]}"
        rows.append({**packet, "day": "" if day == before else day, "clock": clock})
        before = day
    return rows


def hex_dump(data: bytes) -> str:
    """`0010  45 00 00 3a …  E..:…`, sixteen bytes in a line."""
    lines = []
    for at in range(0, len(data), _IN_LINE):
        part = data[at : at + _IN_LINE]
        lines.append(f"{at:04x}  {part.hex(' '):<47}  {readable(part, lines=False)}")
    return "\n".join(lines)


def readable(data: bytes, *, lines: bool = True) -> str:
    """ASCII as it is, everything else as dots; ends of lines if there may be `lines`."""
    text = data.decode("latin-1")
    if lines:
        text = text.replace("\r\n", "\n")
    return "".join(char if " " <= char <= "~" or (lines and char in "\n\t") else "." for char in text)


def only_stream(protocol: str, client: str, server: str) -> str:
    """The filter for a stream between two ends, each with address and port; empty if they have none."""
    ends = [_END.fullmatch(end) for end in (client, server)]
    if None in ends:
        return ""
    field = f"{protocol.lower()}Port"
    sides = [f"ip == {end[1]} and {field} == {end[2]}" for end in ends if end]
    return " and ".join(sides)


PAGE = Page(
    title="Packets",
    path=PATH,
    manual="captures#looking-at-packets",
    role="capture",
    below="/storage",
    actions=(
        Action("GET", PATH, _look, role="capture", packs=False),
        Action("GET", f"{PATH}/packet", _packet, role="capture", packs=False),
        Action("GET", f"{PATH}/stream", _stream, role="capture", packs=False),
    ),
)
