"""How large the file of a window gets at most, from what the ring says of itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from allegro.capture.ring.joined import reader_of

# A block has at least this much more for a packet than a pcapng file: there, tpacket3_hdr, sockaddr_ll and
# alignment are 82 bytes before the frame (packet_mmap.rst); here, an enhanced packet block takes 32, up to 3
# of padding and up to 4 for a VLAN tag that is put back.
_SPARED_PER_PACKET: Final = 40


def ring_estimate(ring: Path, memory: Path | None = None) -> Callable[[int, int], int]:
    """A function that says how many bytes a file with the window [start_ns, end_ns] has at most, `memory`
    (`capture.ring.joined`) included.

    Finished segments within the window are asked for their summaries only; records are looked at one by one
    in those at its edges. Time and memory do not grow with the records of the window.
    """

    def estimate(start_ns: int, end_ns: int) -> int:
        with reader_of(ring, memory) as reader:
            return sum(
                max(0, used - packets * _SPARED_PER_PACKET)
                for used, packets in reader.extents(start_ns, end_ns)
            )

    return estimate
