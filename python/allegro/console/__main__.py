"""The console: `python -m allegro.console [TERMINAL …]`. One process for all; draws only what has changed."""

import logging
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from allegro.console import local_facts
from allegro.console.screen import CODES_KEY, FIRST_PASSWORDS, Answer, Facts, screen
from allegro.console.terminals import Terminal
from allegro.paths import Paths
from allegro.system import consoles

LOOK_EVERY_S = 2.0
ASK_EVERY_S = 6.0
ASK_OFTEN_S = 2.0
"""Between two questions to the supervisor; often while somebody presses keys or waits for an action."""

ATTENTIVE_S = 60.0
"""For so long after a key somebody is thought to look."""

OPEN_EVERY_S = 10.0
"""Terminals that are missing are looked for again."""

DRAW_ALL_EVERY_S = 60.0
"""The kernel writes to the same screens, and a serial terminal may just have been plugged in."""

STARTING_S = 180.0
"""Before this age of the system a supervisor that has not answered yet is starting."""

ANSWER_WITHIN_S = 5.0
PATIENT_S = 12.0
"""So long a supervisor that has answered may be slow before that is said: what it said last is shown."""

log = logging.getLogger("allegro.console")


class Console:
    """All terminals, and what is known of the device."""

    def __init__(self, paths: Paths, only: Sequence[str] = (), devices: Path = consoles.DEVICES) -> None:
        """`only`: names of terminals, instead of the monitor and all serial consoles."""
        self._only = only
        self._paths = paths
        self._devices = devices
        self._terminals: dict[str, Terminal] = {}
        self._status: Answer | None = None
        self._open_at = self._ask_at = self._draw_all_at = self._looked_at_until = 0.0
        self._wifi: Answer | None = None
        self._codes_until = 0.0
        self._system_id = ""
        self._leaving = False
        self._answered = False
        self._answered_at = 0.0

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._leave)
        while not self._leaving:
            now = time.monotonic()
            self._open_terminals()
            self._draw_all(now)
            self._draw()  # what is known at once: asking takes its time
            if now >= self._ask_at:
                self._ask()
                self._draw_all(time.monotonic())
                self._draw()
            self._wait()
        self._draw()
        for terminal in self._terminals.values():
            terminal.close()

    def _leave(self, _number: int, _frame: FrameType | None) -> None:
        self._leaving = True

    def _open_terminals(self) -> None:
        now = time.monotonic()
        if now < self._open_at:
            return
        self._open_at = now + OPEN_EVERY_S
        for name in self._only or consoles.names():
            if name not in self._terminals:
                try:
                    self._terminals[name] = Terminal(self._devices / name)
                except OSError:
                    continue
                log.info("Showing on %s", name)

    def _draw_all(self, now: float) -> None:
        if now >= self._draw_all_at:
            self._draw_all_at = now + DRAW_ALL_EVERY_S
            for terminal in self._terminals.values():
                terminal.forget()

    def _draw(self) -> None:
        known = self._facts()
        for terminal in self._terminals.values():
            terminal.draw(screen(known, *terminal.size()))

    def _facts(self) -> Facts:
        self._system_id = self._system_id or local_facts.system_id(self._paths)
        try:
            interfaces = local_facts.interfaces()
        except OSError as error:
            log.warning("The network devices cannot be seen: %s", error)
            interfaces = ()
        return Facts(
            name=local_facts.host_name(),
            firmware=local_facts.firmware(),
            clock=local_facts.clock(),
            interfaces=interfaces,
            system_id=self._system_id,
            status=self._status,
            recorder=local_facts.recorder_state(self._paths),
            wifi=self._wifi,
            wants_codes=time.monotonic() < self._codes_until,
            leaving=self._leaving,
            starting=not self._answered and time.clock_gettime(time.CLOCK_BOOTTIME) < STARTING_S,
        )

    def _ask(self) -> None:
        # Late, because what it imports takes longest, and the first screen does not need it.
        from allegro.api.client import Client
        from allegro.errors import AllegroError

        before = self._status
        try:
            client = Client(self._paths.api_socket, ANSWER_WITHIN_S)
            self._status = client.get("/status")
            is_new = any(each["id"] == FIRST_PASSWORDS for each in self._status["problems"])
            self._wifi = client.get("/wifi") if is_new else None
            self._answered = True
            self._answered_at = time.monotonic()
        except AllegroError:
            if time.monotonic() - self._answered_at > PATIENT_S:
                self._status = None
        now = time.monotonic()
        if before is None and self._status is not None:
            self._draw_all_at = now  # until now the system told of its start, perhaps on the same screen
        actions = self._status["actions"] if self._status else ()
        attentive = now < self._looked_at_until or any(action["state"] == "running" for action in actions)
        self._ask_at = now + (ASK_OFTEN_S if attentive or self._status is None else ASK_EVERY_S)

    def _wait(self) -> None:
        """Until it is time to look again, or a key is pressed."""
        ready, _, _ = select.select(list(self._terminals.values()), [], [], LOOK_EVERY_S)
        for terminal in ready:
            try:
                keys = terminal.take_keys()
            except OSError as error:  # unplugged, or taken away by vhangup(2)
                log.warning("%s cannot be read: %s", terminal.path, error)
                terminal.close()
                del self._terminals[terminal.path.name]
                self._open_at = time.monotonic() + OPEN_EVERY_S
            else:
                self._ask_at = now = time.monotonic()
                self._looked_at_until = now + ATTENTIVE_S
                if keys:
                    wanted = keys.lower() == CODES_KEY.encode() and now >= self._codes_until
                    self._codes_until = now + ATTENTIVE_S if wanted else 0.0


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    Console(Paths(), arguments).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
