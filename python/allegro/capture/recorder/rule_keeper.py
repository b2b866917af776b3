"""Which slicing rules hold on which port: attaches programs, and tells in the ring what holds from when.

A program takes the other's place in one step: each packet is judged by the one or by the other, and none is
lost (SO_ATTACH_FILTER, socket(7)). One that the kernel refuses changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from allegro.capture.port_rules import KEEP_ALL, NO_RULES, PortRules
from allegro.capture.recorder.outbox import Outbox
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.ring.news import Discarded, RulesChanged, RulesHeld
from allegro.system.boottime import Reading, read_clocks

_LOG = logging.getLogger(__name__)

TOLD_EVERY_NS = 5_000_000_000
"""What holds is told again so often, for captures that begin later; an extraction looks that far back."""


class RuleKeeper:
    """`rules` are those that are to hold; `refused` says by port why the kernel did not take them."""

    def __init__(self, outbox: Outbox) -> None:
        self.rules = NO_RULES
        self.refused: dict[str, str] = {}
        self._outbox = outbox
        self._tell_again_ns = 0

    def apply(self, rules: PortRules, ports: Iterable[RecordedPort]) -> None:
        """From now on these hold."""
        self.rules = rules
        self.refused = {}
        before = read_clocks()
        changed = []
        for port in ports:
            program = rules.program(port.name)
            text = rules.text if program else ""
            if (program, text) == (port.program, port.rules):
                continue
            try:
                if program != port.program:
                    port.filter(program or KEEP_ALL, before.boot_ns)
            except OSError as error:
                self._refused(port.name, error)
                continue
            port.program, port.rules = program, text
            changed.append((text, port.name))
        now = read_clocks()
        for text, names in _by_text(changed):
            _LOG.info("%s: %s", names, text or "packets are kept whole")
            self._outbox.add(RulesChanged(*now, text, names, now.boot_ns - before.boot_ns))

    def opened(self, port: RecordedPort, error: OSError | None, now: Reading) -> None:
        """The port is recorded from now on, with its program if there was no error."""
        program = self.rules.program(port.name)
        self.refused.pop(port.name, None)
        if error is not None:
            self._refused(port.name, error)
        elif program:
            port.program, port.rules = program, self.rules.text
            self._outbox.add(RulesHeld(*now, port.rules, port.name))

    def tell(self, now: Reading, ports: Iterable[RecordedPort], *, ring: bool) -> None:
        """Tells every few seconds what holds and what was discarded; at once when there is a ring again."""
        if not ring:
            self._tell_again_ns = 0
            return
        if now.boot_ns < self._tell_again_ns:
            return
        self._tell_again_ns = now.boot_ns + TOLD_EVERY_NS
        held = []
        for port in ports:
            self.tell_discards(port, now)
            if port.rules:
                held.append((port.rules, port.name))
        for text, names in _by_text(held):
            self._outbox.add(RulesHeld(*now, text, names))

    def tell_discards(self, port: RecordedPort, now: Reading) -> None:
        """Tells what was discarded on a port since the last time."""
        untold = port.discards.take(now.boot_ns)
        if untold is not None:
            self._outbox.add(Discarded(*now, port.name, untold.packets, untold.since_boot_ns))

    def message(self) -> str:
        """What is wrong, in plain words; empty if nothing is."""
        return " ".join(self.refused.values())

    def _refused(self, port: str, error: OSError) -> None:
        self.refused[port] = (
            f"The kernel did not take the rules for {port} ({error.strerror}): what held before goes on."
        )
        _LOG.error("%s", self.refused[port])


def _by_text(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(text, port) with the ports of each text together."""
    names: dict[str, list[str]] = {}
    for text, port in found:
        names.setdefault(text, []).append(port)
    return [(text, ", ".join(ports)) for text, ports in names.items()]
