"""What the device's log holds that somebody would have to explain."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from allegro.system.journal import Entry, entries
from tests.harness.qemu import VirtualMachine


@dataclass(frozen=True)
class Explained:
    """A message that may be there: its program, a regular expression for the whole text, and the reason."""

    program: str
    text: str
    why: str


def read(machine: VirtualMachine) -> list[Entry]:
    """Return all messages since the guest's last start."""
    command = "journalctl --boot --quiet --no-pager --output=json"
    fields = "PRIORITY,SYSLOG_IDENTIFIER,_COMM,MESSAGE"
    shown = machine.run(f"{command} --output-fields={fields}", timeout=120).stdout
    return list(entries(shown.encode().splitlines()))


def unexplained(lines: Iterable[Entry], explained: Sequence[Explained]) -> list[str]:
    """Return the warnings, errors and tracebacks that no line of `explained` fits, each text once."""
    told: dict[str, None] = {}
    for line in lines:
        if line.level == "info" and "Traceback (most recent call last)" not in line.text:
            continue
        if not any(
            each.program == line.program and re.fullmatch(each.text, line.text, re.DOTALL)
            for each in explained
        ):
            told[f"{line.program} ({line.level}): {line.text}"] = None
    return list(told)
