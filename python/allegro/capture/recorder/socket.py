"""The packet socket of one port: TPACKET_V3 receive ring in memory shared with the kernel.

Kernel interface: Documentation/networking/packet_mmap.rst, packet(7), include/uapi/linux/if_packet.h.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import struct
from typing import NamedTuple

from allegro.capture.recorder.counters import packets_received
from allegro.capture.ring import record as blocks
from allegro.errors import Unavailable

_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_RX_RING = 5
_PACKET_STATISTICS = 6
_PACKET_VERSION = 10
_PACKET_IGNORE_OUTGOING = 23
_TPACKET_V3 = 2
_PACKET_MR_PROMISC = 1
_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26

_RING_REQUEST = struct.Struct("7I")  # struct tpacket_req3
_MEMBERSHIP = struct.Struct("iHH8s")  # struct packet_mreq
_STATISTICS = struct.Struct("3I")  # struct tpacket_stats_v3
_FILTER_PROGRAM = struct.Struct("HxxxxxxQ")  # struct sock_fprog on 64 bit
_FILTER_RETURN = struct.Struct("HBBI")  # struct sock_filter
_BPF_RET_K = 0x06

# tp_frame_size does not bound packets in version 3, but must be a multiple of 16 that divides the block size.
_FRAME_SIZE = 2048
_FEWEST_BLOCKS = 4


class Statistics(NamedTuple):
    """Since the last call: packets that came in, how many of them were dropped, how often the queue froze."""

    packets: int
    drops: int
    freezes: int


class RingSocket:
    """Receives all packets of one interface, also those not addressed to it, but not those sent by the host.

    `blocks` are views of the shared memory in the order in which the kernel fills them, over and over.
    Raises Unavailable if the interface is gone or the kernel refuses. If memory is short, fewer blocks are
    taken than asked for (not less than four). `program` (struct sock_filter) is attached before anything is
    received; if the kernel does not take it, `filter_error` says why, and everything is received. So many
    packets the interface had received before the socket did: `received_before`.
    """

    def __init__(
        self, interface: str, ifindex: int, block_size: int, count: int, retire_ms: int, program: bytes = b""
    ) -> None:
        # Protocol 0: nothing is received before all is set up and bound.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._memory: mmap.mmap | None = None
        self.blocks: list[memoryview] = []
        self.filter_error: OSError | None = None
        self.received_before = 0
        try:
            self._socket.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
            self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            count = self._allocate(block_size, count, retire_ms)
            self._memory = mmap.mmap(self._socket.fileno(), block_size * count, mmap.MAP_SHARED)
            with memoryview(self._memory) as whole:  # kept, it would not let `close` give the memory back
                self.blocks = [whole[at : at + block_size] for at in range(0, block_size * count, block_size)]
            if program:
                try:
                    self.filter(program)
                except OSError as error:
                    self.filter_error = error
            # Not before this moment: memory for the blocks takes its time.
            self.received_before = packets_received(interface)
            self._socket.bind((interface, _ETH_P_ALL))
            membership = _MEMBERSHIP.pack(ifindex, _PACKET_MR_PROMISC, 0, b"")
            self._socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
        except OSError as error:
            self.close()
            raise Unavailable(f"cannot be recorded: {error.strerror}", place=interface) from error

    def fileno(self) -> int:
        """For poll: readable when a block is ready (or one that is ready has not been given back)."""
        return self._socket.fileno()

    def statistics(self) -> Statistics:
        """What happened since the last call; also clears a pending error such as "network is down"."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        data = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        return Statistics(*_STATISTICS.unpack(data))

    def filter(self, program: bytes) -> None:
        """Lets the kernel judge each packet by a program, instead of the one before, in one step.

        Raises OSError if the kernel does not take it; then the one before stays.
        """
        held = ctypes.create_string_buffer(program, len(program))
        told = _FILTER_PROGRAM.pack(len(program) // _FILTER_RETURN.size, ctypes.addressof(held))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)

    def stop(self) -> None:
        """Receives nothing more; the kernel hands over the block it was filling after the retire time."""
        self.filter(_FILTER_RETURN.pack(_BPF_RET_K, 0, 0, 0))

    def close(self) -> None:
        """Gives the memory back. No view of a block may be in use any more."""
        for block in self.blocks:
            block.release()
        self.blocks = []
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._socket.close()

    def _allocate(self, block_size: int, count: int, retire_ms: int) -> int:
        while True:
            frames = block_size // _FRAME_SIZE * count
            request = _RING_REQUEST.pack(
                block_size, count, _FRAME_SIZE, frames, retire_ms, blocks.PRIVATE_SIZE, 0
            )
            try:
                self._socket.setsockopt(_SOL_PACKET, _PACKET_RX_RING, request)
            except OSError as error:
                if error.errno != errno.ENOMEM or count // 2 < _FEWEST_BLOCKS:
                    raise
                count //= 2
            else:
                return count
