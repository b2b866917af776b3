"""Addresses, ports, VLANs, labels that packets have had lately: for who writes a filter.

They are those that the summaries of the newest records list. Of a busy link a summary lists few, as many have
no room in it; then the newest records themselves are looked through, a few of them. So a look costs the same
however large the ring is. Of IPv6 and MAC addresses summaries know only hashes.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from allegro.capture import _packets
from allegro.capture.ring.reader import RecordDamaged, RecordGone, RingReader
from allegro.capture.ring.record import FLAG_NEWS
from allegro.capture.ring.record_summaries import RecordSummaries
from allegro.filters.fields import Field

NEWEST = 256
"""Records of which the summaries are asked."""

MOST_READ = 2
"""Records that are read themselves, of up to 1 MiB each."""

_ROOM = 1 << 18
"""Bytes for the summary of a record that is made here: nearly all is listed in it."""

_IPV4, _PORT, _VLAN, _LABEL, _VNI = 0, 3, 4, 6, 7
_FIELDS = {
    _IPV4: (Field.IP, Field.SOURCE_IP, Field.DESTINATION_IP),
    _PORT: (Field.PORT, Field.TCP_PORT, Field.UDP_PORT, Field.PORT_RANGE),
    _VLAN: (Field.VLAN, Field.OUTER_VLAN, Field.INNER_VLAN),
    _LABEL: (Field.MPLS,),
    _VNI: (Field.VXLAN,),
}

Seen = Mapping[Field, Sequence[str]]
"""Of a field the values as a filter writes them, those of most records first."""


def seen_values(directory: Path) -> Seen:
    """What the newest packets of the ring in this directory have. Raises OSError."""
    counts: dict[int, Counter[int]] = {kind: Counter() for kind in _FIELDS}
    with RingReader(directory) as reader:
        summaries, may_read = RecordSummaries(), MOST_READ
        for record in reversed(reader.newest(NEWEST)):
            if record.flags & FLAG_NEWS:
                continue
            lists = _listed(summaries.of(record))
            if lists[_IPV4] is None and may_read:
                may_read -= 1
                try:
                    lists = _listed(_packets.summarize(reader.read(record), _ROOM))
                except (RecordGone, RecordDamaged):
                    continue
            for kind, counter in counts.items():
                counter.update(lists[kind] or ())
    return {field: _written(kind, counts[kind]) for kind, fields in _FIELDS.items() for field in fields}


def _listed(summary: bytes | memoryview) -> Sequence[Iterable[int] | None]:
    try:
        return _packets.listed(summary)
    except ValueError:  # of another version
        return _packets.listed(b"")


def _written(kind: int, counter: Counter[int]) -> list[str]:
    values = sorted(counter, key=lambda value: (-counter[value], value))
    return [str(ipaddress.IPv4Address(value)) if kind == _IPV4 else str(value) for value in values]
