"""What a port lost, by kind, as its records say it.  No I/O."""

from __future__ import annotations

from typing import NamedTuple

COUNT_MOST = 0xFFFF_FFFF
"""The largest count that fits into a record."""


class Losses(NamedTuple):
    """What a port lost since its previous record, by kind; all are packets but `freezes` (occasions).

    `drops`: the kernel had no memory free. `unwritten`: the disk refused them. `unrecorded`: no ring was
    open, or the port was just being opened. `missed`, `fifo`, `over`: lost in the network card or its driver
    (rx_missed_errors, rx_fifo_errors, rx_over_errors). `crc`, `length`: frames that the card refused
    (rx_crc_errors; rx_length_errors: too long or short). `dropped` (rx_dropped) is in no sum: some drivers
    count there what they lose (vmxnet3, ena, virtio, igb), but the kernel adds what its own protocols did not
    want, as all tagged frames without a VLAN device, and that is recorded. They happened between
    `from_boot_ns` and `until_boot_ns` (CLOCK_BOOTTIME; 0: not known).
    """

    drops: int = 0
    freezes: int = 0
    missed: int = 0
    fifo: int = 0
    over: int = 0
    dropped: int = 0
    crc: int = 0
    length: int = 0
    unwritten: int = 0
    unrecorded: int = 0
    from_boot_ns: int = 0
    until_boot_ns: int = 0

    @property
    def system(self) -> int:
        """Packets lost between kernel and ring."""
        return self.drops + self.unwritten + self.unrecorded

    @property
    def card(self) -> int:
        """Packets lost in the network card or its driver."""
        return self.missed + self.fifo + self.over

    @property
    def refused(self) -> int:
        """Frames that the network card refused as damaged."""
        return self.crc + self.length

    @property
    def certain(self) -> bool:
        """Whether anything is lost without doubt."""
        return bool(self.system or self.card or self.refused or self.freezes)

    def plus(self, other: Losses) -> Losses:
        """Both together."""
        times = [time for time in (self.from_boot_ns, other.from_boot_ns) if time]
        counts = map(sum, zip(self[:10], other[:10], strict=True))
        until_ns = max(self.until_boot_ns, other.until_boot_ns)
        return Losses(*[*counts, min(times, default=0), until_ns])

    def limited(self) -> Losses:
        """As they fit into a record: counts too large are held at the largest."""
        counts = (min(count, COUNT_MOST) for count in self[:10])
        return Losses(*[*counts, self.from_boot_ns, self.until_boot_ns])


NO_LOSSES = Losses()
