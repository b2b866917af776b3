"""What the driver of a measuring port's network card is told: structures of linux/ethtool.h, by netdevice(7).

Drivers differ in what they can. Each function returns what it has changed, in ethtool(8)'s words; what a
driver does not have is no failure.
"""

import ctypes
import errno
import fcntl
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# linux/sockios.h and linux/ethtool.h
_SIOCETHTOOL = 0x8946
_GET_RINGS, _SET_RINGS = 0x10, 0x11
_GET_PAUSE, _SET_PAUSE = 0x12, 0x13
_GET_STRINGS = 0x1B
_IDENTIFY = 0x1C  # ETHTOOL_PHYS_ID
_GET_PRIVATE_FLAGS, _SET_PRIVATE_FLAGS = 0x27, 0x28
_GET_STRING_SET_INFO = 0x37
_GET_FEATURES, _SET_FEATURES = 0x3A, 0x3B
_PRIVATE_FLAG_NAMES = 2  # ETH_SS_PRIV_FLAGS
_FEATURE_NAMES = 4  # ETH_SS_FEATURES
_NAME_LENGTH = 32  # ETH_GSTRING_LEN

MERGING = (
    "rx-gro",
    "rx-gro-hw",
    "rx-gro-list",
    "rx-lro",
    "rx-udp-gro-forwarding",
)
"""Features by which kernel or card join packets before they are recorded (names as the kernel gives them)."""

STRIPPING = (
    "rx-vlan-hw-parse",
    "rx-vlan-stag-hw-parse",
)
"""Features by which the card takes VLAN tags out of packets. The kernel puts them back, but not every driver
hands over the whole tag: e1000 loses the priority, and a bridged packet would leave the device changed."""

FILTERING = (
    "rx-vlan-filter",
    "rx-vlan-stag-filter",
)
"""Features by which the card drops packets of VLANs that nobody on this machine has asked for."""

LLDP_AGENTS = {"disable-fw-lldp": True, "fw-lldp-agent": False}
"""Private flags that end the agent in a card's own firmware, which keeps all LLDP frames for itself and sends
some of its own: Intel 700 (i40e) and 800 (ice), see their documents below networking/device_drivers."""


def prepare(name: str) -> tuple[list[str], list[str]]:
    """Everything of this module, for one measuring port: what was changed, and what went wrong, in words."""
    changed, complaints = [], []
    for step in (keep_packets_whole, use_largest_rings, ignore_pause, end_lldp_agent):
        try:
            changed += step(name)
        except OSError as error:
            complaints.append(f"{step.__name__.replace('_', ' ')}: {error.strerror}")
    return changed, complaints


def keep_packets_whole(name: str) -> list[str]:
    """Switches off MERGING, STRIPPING and FILTERING: packets are recorded and passed on as they came.

    Raises OSError if the device is gone.
    """
    with _control(name) as ask:
        names = _names(ask, _FEATURE_NAMES)
        blocks = -(-len(names) // 32)
        answer = ask(struct.pack("II", _GET_FEATURES, blocks) + bytes(16 * blocks))
        # struct ethtool_get_features_block: available, requested, active, never_changed
        states = [struct.unpack_from("4I", answer, 8 + 16 * block) for block in range(blocks)]
        unwanted = [
            (number, feature)
            for number, feature in enumerate(names)
            if feature in MERGING + STRIPPING + FILTERING
            and (states[number // 32][0] & ~states[number // 32][3]) >> number % 32 & 1
            and states[number // 32][2] >> number % 32 & 1
        ]
        if unwanted:
            # struct ethtool_set_features_block: valid, requested
            valid = [0] * blocks
            for number, _ in unwanted:
                valid[number // 32] |= 1 << number % 32
            request = struct.pack("II", _SET_FEATURES, blocks)
            ask(request + b"".join(struct.pack("II", bits, 0) for bits in valid))
        return [f"{feature} off" for _, feature in unwanted]


def use_largest_rings(name: str) -> list[str]:
    """Lets the card keep as many received packets as it can until the kernel takes them.

    Raises OSError if the device is gone, or there is no memory for so many.
    """
    with _control(name) as ask:
        try:
            answer = ask(struct.pack("9I", _GET_RINGS, *bytes(8)))
        except OSError as error:
            return _lacking(error)
        # struct ethtool_ringparam: largest receive, mini, jumbo, send; then the present ones
        _, *sizes = struct.unpack("9I", answer)
        largest, present, send = sizes[:3], sizes[4:7], sizes[7]
        if present == largest:
            return []
        ask(struct.pack("9I", _SET_RINGS, *bytes(4), *largest, send))
        return [f"rx ring {largest[0]}"]


def ignore_pause(name: str) -> list[str]:
    """The card neither sends pause frames (IEEE 802.3 annex 31B) nor stops sending because of any.

    Raises OSError if the device is gone.
    """
    with _control(name) as ask:
        try:
            answer = ask(struct.pack("4I", _GET_PAUSE, *bytes(3)))
        except OSError as error:
            return _lacking(error)
        # struct ethtool_pauseparam: whether negotiated, receive, send
        _, negotiated, receive, send = struct.unpack("4I", answer)
        if not (negotiated or receive or send):
            return []
        # e1000e does not look at the rest while it is negotiated; i40e refuses to change that one here.
        for value in (0, negotiated):
            try:
                ask(struct.pack("4I", _SET_PAUSE, value, 0, 0))
            except OSError as error:
                refused = error
            else:
                return ["pause off"]
        return _lacking(refused)


def end_lldp_agent(name: str) -> list[str]:
    """Sets LLDP_AGENTS, where the card has one. Raises OSError if the device is gone."""
    with _control(name) as ask:
        try:
            names = _names(ask, _PRIVATE_FLAG_NAMES)
            _, present = struct.unpack("II", ask(struct.pack("II", _GET_PRIVATE_FLAGS, 0)))
        except OSError as error:
            return _lacking(error)
        wanted = present
        for number, flag in enumerate(names):
            if flag in LLDP_AGENTS:
                wanted = wanted | 1 << number if LLDP_AGENTS[flag] else wanted & ~(1 << number)
        if wanted == present:
            return []
        ask(struct.pack("II", _SET_PRIVATE_FLAGS, wanted))
        return ["LLDP agent off"]


def blink(name: str, seconds: int) -> bool:
    """Lets a light of the port blink for so long, as `ethtool --identify` does; answers at its end.

    False if its driver cannot. Packets pass meanwhile as ever. Raises OSError, of number EBUSY if one blinks.
    """
    with _control(name) as ask:
        try:
            # struct ethtool_value: command, seconds
            ask(struct.pack("II", _IDENTIFY, seconds))
        except OSError as error:
            _lacking(error)  # raises what is something else
            return False
        return True


def _lacking(error: OSError) -> list[str]:
    """Nothing changed, if that is because the driver does not have it."""
    if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
        raise error
    return []


def _names(ask: Callable[[bytes], bytes], which: int) -> list[str]:
    # struct ethtool_sset_info: command, reserved, mask of string sets, then one length for each that there is
    answer = ask(struct.pack("IIQI", _GET_STRING_SET_INFO, 0, 1 << which, 0))
    count = struct.unpack_from("I", answer, 16)[0]
    if not count:
        return []
    answer = ask(struct.pack("III", _GET_STRINGS, which, count) + bytes(count * _NAME_LENGTH))
    strings = (answer[12 + n * _NAME_LENGTH : 12 + (n + 1) * _NAME_LENGTH] for n in range(count))
    return [text.split(b"\0", 1)[0].decode("ascii", "replace") for text in strings]


@contextmanager
def _control(name: str) -> Iterator[Callable[[bytes], bytes]]:
    """What makes a SIOCETHTOOL call for this device, and returns the structure as the kernel left it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        yield lambda request: _ethtool(control, name, request)


def _ethtool(control: socket.socket, name: str, request: bytes) -> bytes:
    buffer = ctypes.create_string_buffer(request, len(request))
    # struct ifreq: name, then a pointer to the structure
    fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(buffer)))
    return buffer.raw
