"""What a command of the command line answers."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Output:
    """What a command answers: `data` for --json, `text` for people."""

    data: Any
    text: str
    exit_code: int = 0
