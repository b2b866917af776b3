"""The header of a classic pcap file with nanoseconds; its records are written by the C extension.

Format: draft-ietf-opsawg-pcap ("PCAP Capture File Format", IETF), section 4. Little endian, which the magic
number tells the reader. No I/O.
"""

import struct

from allegro.capture.extraction.pcapng import LINKTYPE_ETHERNET

MAGIC_NANOSECONDS = 0xA1B23C4D
VERSION = 2, 4
LARGEST = 262144
"""What readers take for "no limit" (MAXIMUM_SNAPLEN of libpcap)."""


def file_header(packet_length: int) -> bytes:
    """`packet_length`: most bytes of a packet in the file; 0: any."""
    longest = packet_length or LARGEST
    return struct.pack("<IHHiIII", MAGIC_NANOSECONDS, *VERSION, 0, 0, longest, LINKTYPE_ETHERNET)
