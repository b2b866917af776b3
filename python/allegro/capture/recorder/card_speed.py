"""How fast a port can become, whether it has a link now or not: ETHTOOL_GLINKSETTINGS (linux/ethtool.h)."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

UNKNOWN = -1

# linux/sockios.h and linux/ethtool.h
_SIOCETHTOOL = 0x8946
_GET_LINK_SETTINGS = 0x4C
_REQUEST = struct.Struct("16sP16x")  # struct ifreq
_SETTINGS_SIZE, _COUNT_OF_WORDS = 48, 15  # of struct ethtool_link_settings, and in it
_MOST_WORDS = 127

_MODES: dict[int, Sequence[range]] = {
    10: (range(2), range(92, 93), range(99, 102)),
    100: (range(2, 4), range(67, 68), range(90, 92)),
    1000: (range(4, 6), range(17, 18), range(41, 42), range(68, 69)),
    2500: (range(15, 16), range(47, 48)),
    5000: (range(48, 49),),
    10_000: (range(12, 13), range(18, 21), range(42, 47)),
    20_000: (range(21, 23),),
    25_000: (range(31, 34),),
    40_000: (range(23, 27),),
    50_000: (range(34, 36), range(40, 41), range(52, 57)),
    56_000: (range(27, 31),),
    100_000: (range(36, 40), range(57, 62), range(75, 80)),
    200_000: (range(62, 67), range(80, 85)),
    400_000: (range(69, 74), range(85, 90)),
    800_000: (range(93, 99),),
}
"""Speeds in Mbit/s, and the numbers of the link modes that have them (enum ethtool_link_mode_bit_indices)."""


def fastest_mbit(name: str) -> int:
    """The fastest that card and driver of an interface can, in Mbit/s; if they do not say, the speed of its
    link now; UNKNOWN if that is not known either."""
    return max(fastest_mode(_supported_modes(name)), _speed_of_link(name))


def fastest_mode(modes: Sequence[int]) -> int:
    """The speed of the fastest link mode; `modes` are words of 32 modes each. UNKNOWN if there is none."""
    known = sum(word << 32 * number for number, word in enumerate(modes))
    found = (
        speed for speed, ranges in _MODES.items() if any(known >> bit & 1 for each in ranges for bit in each)
    )
    return max(found, default=UNKNOWN)


def _supported_modes(name: str) -> Sequence[int]:
    """Words of the modes that the driver supports; none if it does not say."""
    try:
        # The first answer says, as a negative number, how many words there are.
        words = -struct.unpack_from("b", _asked(name, 0), _COUNT_OF_WORDS)[0]
        if not 0 < words <= _MOST_WORDS:
            return ()
        return struct.unpack_from(f"={words}I", _asked(name, words), _SETTINGS_SIZE)
    except OSError:
        return ()


def _asked(name: str, words: int) -> bytearray:
    data = bytearray(_SETTINGS_SIZE + 3 * 4 * words)
    struct.pack_into("=I", data, 0, _GET_LINK_SETTINGS)
    struct.pack_into("b", data, _COUNT_OF_WORDS, words)
    place = (ctypes.c_char * len(data)).from_buffer(data)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        fcntl.ioctl(connection, _SIOCETHTOOL, _REQUEST.pack(name.encode(), ctypes.addressof(place)))
    del place
    return data


def _speed_of_link(name: str) -> int:
    """Speed of a link in Mbit/s (Documentation/ABI/testing/sysfs-class-net)."""
    try:
        speed = int((Path("/sys/class/net") / name / "speed").read_text())
    except (OSError, ValueError):
        return UNKNOWN
    return speed if speed > 0 else UNKNOWN
