"""Which slicing rules hold on which port: attaches programs, and tells in the ring what holds from when.

A program takes the other's place in one step: each packet is judged by the one or by the other, and none is
lost (SO_ATTACH_FILTER, socket(7)). One that the kernel refuses changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from allegro.capture.port_rules import KEEP_ALL, NO_RULES, PortRules
from allegro.capture.recorder.outbox import Outbox
from allegro.capture.recorder.port import RecordedPort
from allegro.capture.ring.news import Discarded, RulesChanged, RulesHeld
from allegro.system.boottime import Reading, read_clocks

_LOG = logging.getLogger(__name__)

TOLD_EVERY_NS = 5_000_000_000
"""What holds is told again so often, for captures that begin later; an extraction looks that far back. Only
with packets: of an idle link the ring would soon hold nothing else."""


class RuleKeeper:
    """`rules` are those that are to hold; `refused` says by port why the kernel did not take them."""

    def __init__(self, outbox: Outbox) -> None:
        self.rules = NO_RULES
        self.refused: dict[str, str] = {}
        self._outbox = outbox
        self._told_in_ring = False

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
            self.tell_now(before, (port,))
            try:
                if program != port.program:
                    port.filter(program or KEEP_ALL, before.boot_ns)
            except OSError as error:
                self._refused(port.name, error)
                continue
            port.program, port.rules = program, text
            changed.append(port)
        now = read_clocks()
        for port in changed:
            port.rules_since_ns = now.boot_ns
        for (text, _), alike in _alike(changed):
            _LOG.info("%s: %s", _names(alike), text or "packets are kept whole")
            self._outbox.add(RulesChanged(*now, text, _names(alike), now.boot_ns - before.boot_ns))

    def opened(self, port: RecordedPort, error: OSError | None, now: Reading) -> None:
        """The port is recorded from now on, with its program if there was no error."""
        program = self.rules.program(port.name)
        self.refused.pop(port.name, None)
        if error is not None:
            self._refused(port.name, error)
        elif program:
            port.program, port.rules, port.rules_since_ns = program, self.rules.text, now.boot_ns
            self._outbox.add(RulesHeld(*now, port.rules, port.name))

    def tell(self, now: Reading, ports: Collection[RecordedPort], *, ring: bool) -> None:
        """Tells with packets, every few seconds at most, what holds and what was discarded; what holds also
        when there is a ring again."""
        if not ring:
            self._told_in_ring = False
            return
        if not self._told_in_ring:
            self._told_in_ring = True
            for port in ports:
                port.passed_since_ns = port.passed_since_ns or now.boot_ns
            self.tell_now(now, ports)
            return
        for port in ports:
            if not port.discards.untold:
                port.discards.take(now.boot_ns)  # nothing to tell until now
        if any(_is_due(port, now) for port in ports):
            self.tell_now(now, ports)

    def tell_now(self, now: Reading, ports: Iterable[RecordedPort]) -> None:
        """Tells what held while packets passed that nothing was told for yet, and what was discarded."""
        passed = []
        for port in ports:
            untold = port.discards.take(now.boot_ns)
            if untold is not None:
                self._outbox.add(Discarded(*now, port.name, untold.packets, untold.since_boot_ns))
                port.passed_since_ns = min(port.passed_since_ns or now.boot_ns, untold.since_boot_ns)
            if port.passed_since_ns:
                passed.append(port)
        for (text, since_ns), alike in _alike(port for port in passed if port.rules):
            held_ns = max(min(port.passed_since_ns for port in alike), since_ns)
            moment = Reading(held_ns, held_ns + now.wall_ns - now.boot_ns)
            self._outbox.add(RulesHeld(*moment, text, _names(alike)))
        for port in passed:
            port.passed_since_ns, port.rules_told_ns = 0, now.boot_ns

    def message(self) -> str:
        """What is wrong, in plain words; empty if nothing is."""
        return " ".join(self.refused.values())

    def _refused(self, port: str, error: OSError) -> None:
        self.refused[port] = (
            f"The kernel did not take the rules for {port} ({error.strerror}): what held before goes on."
        )
        _LOG.error("%s", self.refused[port])


def _is_due(port: RecordedPort, now: Reading) -> bool:
    if now.boot_ns - port.rules_told_ns < TOLD_EVERY_NS:
        return False
    return port.discards.untold > 0 or bool(port.rules and port.passed_since_ns)


def _alike(ports: Iterable[RecordedPort]) -> list[tuple[tuple[str, int], list[RecordedPort]]]:
    """Rules, since when they hold, and the ports of which both are true."""
    found: dict[tuple[str, int], list[RecordedPort]] = {}
    for port in ports:
        found.setdefault((port.rules, port.rules_since_ns), []).append(port)
    return list(found.items())


def _names(ports: Iterable[RecordedPort]) -> str:
    return ", ".join(port.name for port in ports)
