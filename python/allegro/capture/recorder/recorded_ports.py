"""Which measuring ports there are: opens new ones, lets vanished ones go, and notes what happens to them."""

from __future__ import annotations

import logging
import re
import select
import socket
from dataclasses import dataclass

from allegro.capture.config import RecorderConfig
from allegro.capture.port_rules import discards
from allegro.capture.recorder.completeness import Completeness
from allegro.capture.recorder.counters import InterfaceTable, packets_received
from allegro.capture.recorder.link_states import LinkEvent
from allegro.capture.recorder.memory import blocks_for
from allegro.capture.recorder.outbox import Outbox
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.recorder.rule_keeper import RuleKeeper
from allegro.capture.recorder.socket import RingSocket
from allegro.capture.ring.news import LinkDown, LinkUp, PortClosed, PortOpened, PortRenamed
from allegro.capture.status import PortStatus
from allegro.errors import AllegroError
from allegro.system.boottime import Reading, read_clocks

_LOG = logging.getLogger(__name__)


@dataclass
class Totals:
    """Of ports that are gone, so that the totals since start never fall."""

    packets: int = 0
    bytes: int = 0
    drops: int = 0
    nic_missed: int = 0
    discarded: int = 0

    def add(self, port: PortStatus) -> None:
        """Adds a port's."""
        self.packets += port.packets
        self.bytes += port.bytes
        self.drops += port.drops
        self.nic_missed += port.nic_missed
        self.discarded += port.discarded


@dataclass(frozen=True)
class _Unopened:
    """What an interface that is not recorded (yet) had received at a time (ns of CLOCK_BOOTTIME)."""

    received: int
    at_boot_ns: int


class Ports:
    """`open` by their names, `closing` until all that they received is written, `refused` with the reason;
    `rules` attaches what is to be kept of their packets."""

    def __init__(self, poll: select.poll, outbox: Outbox, completeness: Completeness) -> None:
        self.rules = RuleKeeper(outbox)
        self.open: dict[str, RecordedPort] = {}
        self.closing: list[RecordedPort] = []
        self.refused: dict[str, str] = {}
        self.gone = Totals()
        self._poll = poll
        self._outbox = outbox
        self._completeness = completeness
        self._table = InterfaceTable()
        self._count = 0
        self._known: set[int] | None = None
        """Numbers of all interfaces at the last look."""
        self._unopened: dict[int, _Unopened] = {}
        """Of interfaces that are to be recorded, since it was known of them."""

    def all(self) -> tuple[RecordedPort, ...]:
        """The open and the closing ones."""
        return (*self.open.values(), *self.closing)

    def look(self, options: RecorderConfig, now: Reading) -> None:
        """Opens new ports, lets vanished ones go."""
        interfaces = {name: number for number, name in socket.if_nameindex()}
        pattern = re.compile(options.port_pattern)
        present = {name: number for name, number in interfaces.items() if pattern.fullmatch(name)}
        names = {number: name for name, number in present.items()}
        for name, port in list(self.open.items()):
            if present.get(name) != port.ifindex:
                _LOG.info("%s is gone", name)
                renamed = names.get(port.ifindex)
                if renamed is not None:
                    self._outbox.add(PortRenamed(*now, name, renamed))
                else:
                    self._outbox.add(PortClosed(*now, name))
                self.let_go(port)
        self.refused = {name: text for name, text in self.refused.items() if name in present}
        self._count = len(present)
        waiting = {name: present[name] for name in sorted(present.keys() - self.open.keys())}
        # Until the first port is open, the recorder counts as not running.
        running = self._known is not None
        if running:
            self._note_unopened(waiting, now)
        for name, number in waiting.items():
            self._open(name, number, options)
            if not running and self.open:
                running = True
                self._note_unopened(waiting, read_clocks())
        self._known = set(interfaces.values())

    def _note_unopened(self, waiting: dict[str, int], now: Reading) -> None:
        """What these interfaces receive from now on, and new ones have received, is missing."""
        before, self._unopened = self._unopened, {}
        for name, number in waiting.items():
            if name in self.open:
                continue
            new = self._known is not None and number not in self._known
            received = 0 if new else packets_received(name)
            self._unopened[number] = before.get(number) or _Unopened(received, now.boot_ns)

    def on_links(self, events: list[LinkEvent], now: Reading) -> None:
        """What the kernel has told of the links."""
        by_number = {port.ifindex: port for port in self.open.values()}
        for event in events:
            port = by_number.get(event.ifindex)
            if port is not None and event.present and event.link_up != port.link_up:
                port.link_up = event.link_up
                self._outbox.add((LinkUp if event.link_up else LinkDown)(*now, port.name))

    def sample(self, now: Reading) -> None:
        """Takes over what the interfaces have counted."""
        rows = self._table.read()
        for port in self.open.values():
            port.sample(now.boot_ns, rows.get(port.name))
        for port in self.closing:  # another interface may have its name by now
            port.sample(now.boot_ns)

    def let_go(self, port: RecordedPort) -> None:
        """Receives nothing more on a port; what was received is still to be written."""
        del self.open[port.name]
        port.stop()
        self.closing.append(port)

    def close_drained(self, now: Reading) -> None:
        """Gives those back of which everything is written."""
        for port in [port for port in self.closing if port.drained()]:
            self.closing.remove(port)
            self._poll.unregister(port.socket.fileno())
            port.sample(now.boot_ns)
            self.rules.tell_now(now, (port,))
            self.gone.add(port.counts)
            self._outbox.lose(port.name, port.take_losses())
            self._completeness.forget(port)
            port.close()

    def close(self) -> None:
        """Looks at the interfaces no more."""
        self._table.close()

    def _open(self, name: str, ifindex: int, options: RecorderConfig) -> None:
        taken = sum(len(port.busy) for port in self.all()) * options.block_size
        count = options.blocks_per_port or blocks_for(name, options.block_size, self._count, taken)
        program = self.rules.rules.program(name)
        try:
            connection = RingSocket(name, ifindex, options.block_size, count, options.retire_ms, program)
        except AllegroError as error:
            if self.refused.get(name) != str(error):
                _LOG.warning("%s", error)
            self.refused[name] = str(error)
            return
        self.refused.pop(name, None)
        if len(connection.blocks) < count:
            _LOG.warning("%s: memory for only %d blocks", name, len(connection.blocks))
        # Not before this moment: memory for the blocks takes its time.
        opened = read_clocks()
        port = RecordedPort(name, ifindex, connection, options.retire_ms, opened.boot_ns)
        self.open[name] = port
        self._poll.register(connection.fileno(), select.POLLIN)
        self._completeness.open(port, opened.boot_ns)
        self._outbox.add(PortOpened(*opened, name))
        if not port.link_up:
            self._outbox.add(LinkDown(*opened, name))
        refusal = connection.filter_error if program else None
        self.rules.opened(port, refusal, opened)
        received = connection.received_before
        if refusal is None and discards(program):
            # What the socket has not seen since may have been discarded: only what came before is lost.
            port.discards.begin(received, 0, opened.boot_ns)
        else:
            received = port.received_before(opened.boot_ns)
        unopened = self._unopened.pop(ifindex, None)
        if unopened is not None and received > unopened.received:
            missed = received - unopened.received
            port.lose_unrecorded(missed, unopened.at_boot_ns, opened.boot_ns)
        _LOG.info("recording %s", name)
