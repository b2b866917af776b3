"""The program `allegro`, run in this process: what it costs to start one is most of what a command takes."""

import contextlib
import io
from pathlib import Path
from subprocess import CompletedProcess

from allegro.cli.main import main


def allegro(socket: Path, *arguments: str) -> CompletedProcess[str]:
    """Runs one command with the API at this unix socket; exit code and output, as of a process."""
    shown, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(told):
        code = main([*arguments, "--socket", str(socket)])
    return CompletedProcess(arguments, code, shown.getvalue(), told.getvalue())
